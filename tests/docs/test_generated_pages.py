"""Reference pages name everything that the code has."""

from pathlib import Path

import typer
from docs.generate.charts import misallocation_chart
from docs.generate.command_line_page import command_line_page
from docs.generate.diagrams import flow_diagram, rooms_diagram
from docs.generate.doctests import fenced
from docs.generate.fronts import BASELINE, OURS, THEIRS, Point, front_chart, front_of
from docs.generate.settings_page import settings_page
from docs.generate.tables_page import tables_page

from tribute.config import Project, Settings
from tribute_jobs.cli import app
from tribute_jobs.exit_codes import ExitCode
from tribute_jobs.faults import REFUSALS
from tribute_storage.schemas import SCHEMAS


def test_every_setting_has_a_row_with_its_default() -> None:
    page = settings_page()
    sections = [field.annotation for field in Project.model_fields.values()]
    keys = {
        key
        for each in sections
        if isinstance(each, type) and issubclass(each, Settings)
        for key in each.model_fields
    }
    assert [key for key in keys if f"| `{key}` |" not in page] == []
    assert "| `learning_rate` | number, > 0 | `0.003` |" in page
    assert page.count("## `corpus.duplicates`") == 1


def test_every_command_has_a_section_with_its_options() -> None:
    page = command_line_page()
    group = typer.main.get_command(app)
    names = [
        f"{name} {inner}" if inner else name
        for name, command in group.commands.items()  # type: ignore[attr-defined]
        for inner in getattr(command, "commands", {"": None})
        if not command.hidden
    ]
    assert [name for name in names if f"### tribute {name}\n" not in page] == []
    assert "`--as-of`" in page
    assert "[bold" not in page


def test_every_column_of_every_table_has_a_meaning() -> None:
    page = tables_page()
    for name, schema in SCHEMAS.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert [field.name for field in schema if f"| `{field.name}` |" not in section] == []
    assert "|  |\n" not in page.replace("|  | ", "")


def test_diagrams_are_the_same_bytes_each_time_and_hold_every_room() -> None:
    drawn = rooms_diagram()
    assert drawn == rooms_diagram()
    assert all(f">{room}<" in drawn for room in ("catalog", "royalty", "commands", "querying"))
    assert flow_diagram().count('class="arrow"') == 7
    assert misallocation_chart().count("<circle") == 4 + 4 * 14  # a legend, then a dot for each setting and row


def test_fronts_join_what_no_method_of_the_same_side_beats() -> None:
    points = [
        Point("cheap", OURS, 0.4, 1, 10),
        Point("beaten", OURS, 0.3, 1, 20),
        Point("dear", OURS, 0.8, 9, 900),
        Point("theirs <1>", THEIRS, 0.5, 3, 500),
        Point("label match", BASELINE, 0.9, 0, 0),
    ]
    drawn = front_chart("A setting", points)
    names = [name for name in ("cheap", "beaten", "dear", "theirs &lt;1&gt;") if f">{name}</text>" in drawn]
    assert names == ["cheap", "dear", "theirs &lt;1&gt;"]
    assert drawn.count("<circle") == 3 + 2 * len(points)
    assert drawn.count('fill="none"') == 2 * 2  # a line for each side in each panel
    assert front_of("canonical", "logistic", "t") == front_of("canonical", "logistic", "t")


def test_a_doctest_ends_at_the_blank_line_after_its_output() -> None:
    assert fenced("Adds.\n\n>>> 1 + 1\n2\n\nMore.") == "Adds.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nMore."


def test_every_exit_code_has_a_row_with_its_meaning() -> None:
    page = command_line_page()
    assert [code for code in ExitCode if f"| {int(code)} | {code.doc} |" not in page] == []


def test_the_page_of_faults_has_a_row_for_every_refusal_of_the_machine() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "when-it-stops.md").read_text()
    elsewhere = {"{user}", "a part of this path", "it is a folder", "connect", "answer", "reached", "memory"}
    said = [what for what, _ in REFUSALS.values() if not any(part in what for part in elsewhere)]
    assert [what for what in said if what.partition(" in this")[0].partition(" on this")[0] not in page] == []
