"""Tables on terminals of every width, and in pipes."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tribute_jobs.inquiries.report import HEADINGS
from tribute_jobs.printing import PIPED, Heading, copyable, print_table, wrapped

ROW = ["a-publisher-with-a-long-name-of-its-own", "-1234.5", "-2345.6 to 3456.7", "12.3%", "45.67%"]
ROWS = [[*ROW, "3,331.33 JPY", "2,093.00 JPY"], [*ROW, "1,000.001 KWD", "950.001 KWD"]]


def printed(width: int, rows: list[list[str]] = ROWS, headings: tuple[Heading, ...] = HEADINGS) -> str:
    out = io.StringIO()
    print_table(Console(file=out, width=width), headings, rows)
    return out.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120, PIPED])
def test_who_gets_what_is_shown_at_every_width(width: int) -> None:
    text = printed(width)
    for amount in ("3,331.33 JPY", "2,093.00 JPY", "1,000.001 KWD", "950.001 KWD"):
        assert amount in text
    assert "a-publisher-with-a-l" in text
    joined = "".join(text.split())
    assert joined.count("a-publisher-with-a-l") == 2
    if width >= 60:
        assert max(map(len, text.splitlines())) <= width or width == PIPED


def test_what_is_left_out_is_named() -> None:
    assert "Left out for want of room: value, 95% interval, tokens. A wider window shows it" in " ".join(
        printed(66).split()
    )
    assert "Left out" not in printed(PIPED)
    assert "a-publisher-with-a-long-name-of-its-own" in printed(PIPED)


def test_a_window_too_narrow_for_a_table_shows_lines() -> None:
    assert "\nshare         45.67%\namount        3,331.33 JPY\n" in printed(30)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4), st.integers(10, 200))
def test_text_is_never_markup_and_breaks_no_table(names: list[str], width: int) -> None:
    names = [*names, "[bold red]x[/]", "[/]"]
    text = printed(
        width, [[name, "1.00 EUR"] for name in names], (Heading("publisher", right=False), Heading("amount"))
    )
    assert text.count("1.00 EUR") == len(names)
    assert "[/]" in text


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["run", "press/project.yaml", "--period", "2026-10"], "press/project.yaml"),
        (["verify", "bundle.json", "--project=our press/p.yml"], "'our press/p.yml'"),
        (["backup", "--list", "backups"], "PROJECT.yaml"),
    ],
)
def test_the_commands_of_a_remedy_name_the_project_of_this_command(
    words: list[str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tribute", *words])
    assert copyable("Run: tribute train PROJECT.yaml") == f"Run: tribute train {shown}"
    assert " ".join(wrapped("Run: tribute train PROJECT.yaml", "")) == f"Run: tribute train {shown}"
