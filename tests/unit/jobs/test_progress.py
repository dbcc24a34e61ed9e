"""Progress messages of a run."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import tribute_jobs
from tribute_jobs.checks import CheckResult, print_results
from tribute_jobs.pipeline import AFTER, STAGES
from tribute_jobs.printing import Heading, print_table, terminal
from tribute_jobs.progress import STAGES as EXPLAINED
from tribute_jobs.progress import PeopleReporter


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
