"""The command line: version, groups of commands, help."""

from importlib.metadata import version

import pytest
import typer

from tests.unit.jobs.commanding import tribute
from tribute_jobs.cli import app

PANELS = {
    "Set up": {"demo", "init", "check", "doctor"},
    "Run": {"run", "train", "simulate", "attribute", "value", "settle", "ingest"},
    "Look": {"status", "report", "statement", "sql", "examples", "estimators"},
    "Money": {"policy", "whatif", "close", "restate", "reverse", "diff", "ledger", "dispute"},
    "Prove": {"evaluate", "explain", "verify"},
    "Serve and share": {"serve", "publish", "lake"},
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
