"""The command line: version, groups of commands, help."""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.statements import statements
from tests.unit.jobs.commanding import project_with, tribute
from tribute_jobs.cli import app, main
from tribute_jobs.printing import Heading, print_table, terminal

PANELS = {
    "Set up": {"demo", "init", "check", "doctor"},
    "Run": {"run", "train", "simulate", "attribute", "value", "settle", "ingest"},
    "Look": {"status", "report", "statement", "sql", "examples", "verbatim", "estimators"},
    "Money": {"policy", "whatif", "close", "restate", "reverse", "diff", "ledger", "dispute"},
    "Prove": {"evaluate", "explain", "judge", "verify"},
    "Serve and share": {"serve", "keys", "publish", "lake"},
    "Back up": {"backup", "restore"},
}


def test_the_version_is_that_of_the_installed_package() -> None:
    assert tribute("--version") == (0, f"tribute {version('tribute')}\n")


def test_every_command_stands_in_a_named_group() -> None:
    commands = typer.main.get_group(app).commands
    panels = {
        name: {n for n, c in commands.items() if getattr(c, "rich_help_panel", None) == name} for name in PANELS
    }
    assert panels == PANELS
    assert set().union(*PANELS.values()) == set(commands)


@pytest.mark.parametrize("name", sorted(set().union(*PANELS.values())))
def test_help_starts_with_one_sentence_that_fits_two_lines(name: str) -> None:
    summary = (typer.main.get_group(app).commands[name].help or "").partition("\n")[0]
    assert summary.endswith(".") and len(summary) <= 115


def test_a_month_that_is_none_is_refused_before_the_project_is_read() -> None:
    ended = tribute("report", "nowhere.yaml", "--period", "2026-13")
    assert ended.code == 2 and "'2026-13' is not a month" in ended.text


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Commands, and those inside groups."""
    inside = getattr(command, "commands", None)
    if inside is None:
        yield name, command
    for key, each in (inside or {}).items():
        yield from leaves(each, f"{name} {key}".strip())


def test_every_command_with_a_result_prints_json() -> None:
    """The service has none."""
    without = {
        name
        for name, command in leaves(typer.main.get_command(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == {"serve"}


def test_json_of_commands_whose_result_is_a_file_or_a_text(tmp_path: Path) -> None:
    written = json.loads(tribute("init", tmp_path / "new", "--json").text)
    assert written == {"event": "written", "path": str(tmp_path / "new" / "project.yaml")}
    [statement, *_] = statements("2026-10")
    path = project_with(tmp_path / "press", {"settle-1": [statement]})
    printed = tribute("statement", path, statement.publisher_id, "--period", statement.period, "--json").text
    assert json.loads(printed)["statement_id"] == statement.statement_id
    rows = tribute("sql", path, "select statement_id from statements", "--json").text.splitlines()
    assert {"statement_id": statement.statement_id} in map(json.loads, rows)
    assert tribute("ledger", "export", path, "--json") == (0, "")


def test_a_fault_is_an_event_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tribute", "status", "nowhere.yaml", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    event = json.loads(out)
    assert (event["event"], event["code"]) == ("error", ended.value.code) == ("error", 2)
    assert event["message"].startswith("nowhere.yaml does not exist.") and event["message"] in err


def test_a_pipe_has_tables_of_full_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is folded, cut or left out, whatever the names."""
    long = "publisher-" + "with-a-long-name-" * 20 + "end"
    headings = Heading("publisher", right=False), *(Heading(f"column {n}", spare=n) for n in range(20))
    print_table(terminal(), headings, [(long, *(f"{n:030d}" for n in range(20)))])
    printed = capsys.readouterr().out
    assert f" {long} " in printed and f"{19:030d}" in printed and "Left out" not in printed
    path = project_with(tmp_path, {"settle-1": statements("2026-10")})
    asked = f"select '{long}' as a, '{long}x' as b, '{long}y' as c"
    lines = tribute("sql", path, asked).text.splitlines()
    assert any(f"{long} " in line and f"{long}x" in line and f"{long}y" in line for line in lines)
