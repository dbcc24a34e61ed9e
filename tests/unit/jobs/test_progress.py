"""Progress messages of a run."""

import io
import json
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

import tribute_jobs
from tribute.progress import ProgressFigures
from tribute_jobs.checks import CheckResult, print_results
from tribute_jobs.pipeline import AFTER, STAGES
from tribute_jobs.printing import Heading, print_table, terminal
from tribute_jobs.progress import STAGES as EXPLAINED
from tribute_jobs.progress import JsonReporter, PeopleReporter


def test_a_stage_is_explained_before_its_result() -> None:
    console = Console(file=io.StringIO(), width=60)
    PeopleReporter(console).finished("train", "train-1", True, "3 trainings of 301 steps")
    explanation, result = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert explanation.split() == ["train", *EXPLAINED["train"].split()]
    assert result.split() == ["done", "3", "trainings", "of", "301", "steps", "train-1"]


def test_every_stage_of_the_pipeline_has_an_explanation() -> None:
    assert set(EXPLAINED) == {*STAGES, *AFTER}


@pytest.mark.parametrize("name", ["[red]AC/DC[/]", "[/]", ":smile:", "[link=http://x]", "\\[b]", "a\x1b[31m"])
def test_ids_are_printed_to_the_letter(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """None is read as markup or as an emoji code; control characters become spaces."""
    reporter = PeopleReporter(terminal())
    reporter.warned(f"Source {name}: look")
    reporter.finished("ingest", name, True, f"{name} done")
    print_table(terminal(), (Heading("publisher", right=False), Heading(name)), [(name, "1")], name)
    print_results([CheckResult(name, False, name)], False)
    printed = capsys.readouterr().out
    assert printed.count(name.replace("\x1b", " ")) == 8 and "\x1b" not in printed


def test_no_other_console_is_made() -> None:
    """A console of rich's own defaults reads ids as markup."""
    sources = [path for path in (Path(tribute_jobs.__file__).parent).rglob("*.py") if path.name != "printing.py"]
    assert [str(path) for path in sources if re.search(r"\bConsole\(", path.read_text())] == []


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What the stage does when it begins, and how far it is every period."""
    reporter = PeopleReporter(terminal(), every_s=0.02)
    reporter.started("simulate", "simulate-1")
    reporter.working("simulations")
    assert capsys.readouterr().out.split() == ["simulate", *EXPLAINED["simulate"].split()]
    reporter.advanced(14, 24)
    until = time.monotonic() + 20
    lines: list[str] = []
    while len(lines) < 2 and time.monotonic() < until:
        lines += capsys.readouterr().out.splitlines()
    reporter.close()
    assert all(re.match(r"  simulate   14 of 24 simulations, \d\.\d GiB$", line) for line in lines[-2:]), lines


def test_json_lines_carry_the_same_figures() -> None:
    out = io.StringIO()
    reporter = JsonReporter(out, every_s=0.02)
    reporter.started("simulate", "simulate-1")
    reporter.advanced(14, 24)
    time.sleep(0.2)
    reporter.finished("simulate", "simulate-1", True, "done")
    first, *told, last = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], last["event"]) == ("started", "finished")
    assert told[-1]["event"] == "advanced" and told[-1].keys() - {"event"} == {*ProgressFigures._fields}
    assert (told[-1]["stage"], told[-1]["done"], told[-1]["total"]) == ("simulate", 14, 24)


def test_a_bar_on_a_terminal_goes_with_its_stage() -> None:
    """Also where the stage fails: the cursor comes back, and nothing is printed after."""
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    reporter = PeopleReporter(console)
    reporter.started("simulate", "simulate-1")
    reporter.advanced(14, 24)
    reporter.tell(reporter.figures())
    reporter.close()
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "14 of 24" in printed and printed.rstrip().endswith("\x1b[2K")
    assert printed.count("\x1b[?25l") == printed.count("\x1b[?25h") == 1
