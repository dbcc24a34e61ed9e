"""Rows of money files in three formats: cells as written, or refused by line; columns that nobody asked for."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tribute.errors import RightsError
from tribute.files.records import read_records


def written(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(RightsError) as raised:
        read_records(path, ("source_id",), ("split", "valid_to"), ("license",))
    assert str(path) in str(raised.value)
    return str(raised.value)


def cells(path: Path) -> list[dict]:
    return [row.cells for row in read_records(path, ("source_id",), ("split",))]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source_id,split,,\ns,1,,\n", "line 1: columns 3, 4 have no name. Remove empty columns"),
        ("source_id,split,\ns,1,\n", "line 1: column 3 has no name"),
        ("sep=,\nsource_id,split\ns,1\n", "line 1: sep=, is for Excel only. Remove the line"),
        ("sep=;\nsource_id;split\ns;1\n", "line 1: sep=; is for Excel only"),
        ("source_id;split\ns;1\n", "line 1: columns are separated by ';'. Save it with commas"),
        ("source_id\tsplit\ns\t1\n", "separated by"),
        ("source_id,split\ns\n", "line 2: 1 cells for 2 columns. Write a comma per empty cell"),
        ("source_id,split\n\ns,1\nt,1,000\n", "line 4: 3 cells for 2 columns. Quote the commas"),
        ('source_id,split\n"s,1\n', "cannot be read as csv"),
        ("source_id,source_id\ns,t\n", "line 1: the column source_id occurs twice"),
        ("source_id,splt\ns,1\n", "unknown column splt. Did you mean split?"),
        ("source_id,until\ns,1\n", "unknown column until. Known here: source_id, split, valid_to"),
        ("source_id,Split\ns,1\n", "unknown column Split. Did you mean split?"),
        ("source_id,valid_until\ns,1\n", "Did you mean valid_to?"),
        ("id,valid_til\ns,1\n", "unknown column valid_til. Did you mean valid_to?"),
    ],
)
def test_what_a_spreadsheet_adds_or_a_hand_misspells_is_named(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(written(tmp_path, text))


def test_all_columns_at_once_and_notes_are_free(tmp_path: Path) -> None:
    told = refusal(written(tmp_path, "sorce_id,splt,note,notes_of_ours\ns,1,x,y\n"))
    assert "unknown column sorce_id" in told
    assert "unknown column splt" in told
    assert "column source_id is missing" in told
    assert "unknown column note" not in told
    path = written(tmp_path, "source_id,note on the source,license\ns,,MIT\n")
    assert len(read_records(path, ("source_id",), (), ("license",))) == 1


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_csv_as_spreadsheets_save_it(tmp_path: Path, mark: str, encoding: str) -> None:
    text = f"{mark if encoding == 'utf-8' else ''}source_id,split\r\nsüd, 1/2 \r\n,\r\n"
    assert cells(written(tmp_path, text.encode(encoding))) == [{"source_id": "süd", "split": "1/2"}]


def test_yaml_cells_are_text_as_written(tmp_path: Path) -> None:
    text = "- {source_id: 0177, split: 1.50}\n- {source_id: 12:30}\n- {source_id: 2026-01-05}\n- {source_id: no}"
    found = [row["source_id"] for row in cells(written(tmp_path, text, "rows.yaml"))]
    assert found == ["0177", "12:30", "2026-01-05", "no"]
    assert "line 2: the key split stands in line 1" in refusal(
        written(tmp_path, "- {source_id: s, split: 1,\n   split: 1/2}", "rows.yaml")
    )
    assert "unknown column splt" in refusal(
        written(tmp_path, "- {source_id: s}\n- {source_id: t, splt: 1}", "r.yml")
    )


def test_parquet_cells_are_text_of_their_value(tmp_path: Path) -> None:
    columns = {
        "source_id": pa.array(["a", "b"]).dictionary_encode(),
        "split": pa.array([b"1/2", None], pa.binary()),
        "note": pa.array([1, 2]),
        "note_day": pa.array([date(2026, 1, 5), None]),
        "note_moment": pa.array([datetime(2026, 1, 5), None], pa.timestamp("ns")),
        "note_decimal": pa.array([Decimal("0.50"), None]),
    }
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    first, second = cells(path)
    assert list(first.values()) == ["a", "1/2", "1", "2026-01-05", "2026-01-05", "0.50"]
    assert list(second.values()) == ["b", None, "2", None, None, None]


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pa.array([["a"]]), "row 1, column source_id holds a value of the type list. Write the column as text"),
        (pa.array([True]), "of the type bool"),
        (pa.array([b"\xff"], pa.binary()), "holds bytes that are not UTF-8"),
    ],
)
def test_parquet_cells_that_are_no_text_are_refused(tmp_path: Path, column: pa.Array, told: str) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"source_id": column}), path)
    assert told in refusal(path)


def test_a_column_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["source_id", "source_id"]), path)
    assert "occurs twice" in refusal(path)
