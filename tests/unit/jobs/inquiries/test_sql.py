"""Formats of query results."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.projects import write_project
from tests.unit.storage.market import ALPHA, commit, market
from tribute.errors import ConfigError
from tribute_jobs.inquiries.sql import answer, write_rows
from tribute_storage import SCHEMAS, publish
from tribute_storage.querying.macros import MACROS


def ask(target: Path, text: str = "", file: Path | None = None, schema: bool = False) -> pa.Table:
    return answer(target, text, file, None, 60, 1, schema)


def test_the_schema_of_a_published_file_has_its_tables_views_and_macros(tmp_path: Path) -> None:
    rows = market(queries=1)
    commit(tmp_path / "lake", {name: rows[name] for name in ("publishers", "rights")})
    operator, publisher = publish(tmp_path / "lake", tmp_path, publishers=[ALPHA])
    kinds = {}
    for path in (operator, publisher):
        found = [row for row in ask(path, schema=True).to_pylist() if row["column"] == "*"]
        assert all(row["meaning"] for row in found)
        kinds[path] = {(row["table"], row["type"]) for row in found}
    shown = {("runs", "table")} | {(macro.name, "macro") for macro in MACROS}
    shown |= {(table, "view") for table in SCHEMAS} | {(f"history.{table}", "table") for table in SCHEMAS}
    assert kinds[publisher] == shown
    assert kinds[operator] == shown | {("published_queries", "table"), ("usage", "view")}


def test_json_keeps_every_column_and_number(tmp_path: Path) -> None:
    names = ["a", "a", "b", "c"]
    columns = [pa.array([1]), pa.array([2]), pa.array([float("nan")]), pa.array([Decimal(10**20)])]
    path = tmp_path / "rows.json"
    write_rows(pa.Table.from_arrays(columns, names), "json", path)
    assert json.loads(path.read_text()) == {"a": 1, "a_1": 2, "b": None, "c": 10**20}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", " =", "\t=", "\r\n=", "\u00a0@"])
def test_a_spreadsheet_runs_nothing_of_a_csv(tmp_path: Path, start: str, kind: pa.DataType) -> None:
    path, evil = tmp_path / "rows.csv", f"{start}HYPERLINK(1)"
    named = pa.array([evil, "planet", None, "-0.25", "+1e-7", "", "a=b"]).cast(kind)
    write_rows(pa.table({"publisher": named, "=nats": [-2.5] * 7, "list": [[evil]] * 7}), "csv", path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["publisher"] for row in rows] == [f"'{evil}", "planet", "", "-0.25", "+1e-7", "", "a=b"]
    assert {(row["'=nats"], row["list"][0]) for row in rows} == {("-2.5", "[")}


def test_other_formats_hold_the_text_itself(tmp_path: Path) -> None:
    rows = pa.table({"publisher": ["=1+1"]})
    for output in ("json", "parquet"):
        write_rows(rows, output, tmp_path / output)
    assert json.loads((tmp_path / "json").read_text()) == {"publisher": "=1+1"}
    assert pq.read_table(tmp_path / "parquet").equals(rows)


@pytest.mark.parametrize(
    ("rows", "output", "path", "message"),
    [
        (pa.table({"a": [1]}), "xml", None, "no format 'xml'"),
        (pa.table({"a": [1]}), "table", "rows.txt", "table is for terminals"),
        (pa.table({"a": [1]}), "csv", ".", "cannot be written as csv to"),
        (pa.table({"a": pa.array([(1, 0, 0)], pa.month_day_nano_interval())}), "parquet", "x", "cast the column"),
    ],
)
def test_what_cannot_be_written_is_said(
    rows: pa.Table, output: str, path: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        write_rows(rows, output, tmp_path / path if path else None)
    assert [file for file in tmp_path.iterdir() if file.is_file()] == []


def test_a_query_comes_from_one_place_and_is_not_empty(tmp_path: Path) -> None:
    project, file = write_project(tmp_path / "p"), tmp_path / "q.sql"
    file.write_text(" \n")
    with pytest.raises(ConfigError, match=r"q.sql holds no query"):
        ask(project, file=file)
    with pytest.raises(ConfigError, match="given twice"):
        ask(project, "select 1", file)
    file.write_text("select 7 as n")
    assert ask(project, file=file).to_pylist() == [{"n": 7}]
    assert "top_sources(query)" in ask(project)["table"].to_pylist()


def test_wide_cells_are_folded_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(pa.table({"a": ["x" * 300], "n": [None]}), "table", None)
    assert capsys.readouterr().out.count("x") == 300


def test_a_table_in_a_pipe_has_its_full_width(capsys: pytest.CaptureFixture[str]) -> None:
    cell = "[bold]a cell that no terminal folds[/]"
    write_rows(pa.table({f"column_{number}": [cell] for number in range(20)}), "table", None)
    lines = capsys.readouterr().out.splitlines()
    assert [line.count(cell) for line in lines if cell in line] == [20]
