"""The sources file in three formats, and every way in which it can be wrong: file, row, column and remedy."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.royalty.terms.files import write
from tribute.errors import RightsError
from tribute.royalty.terms import Publisher, read_rights

GOOD = """source_id,publisher_id,split,valid_from,valid_to,license
reuters,thomson,1/3,2026-01-01,,LicenseRef-R
reuters,agency,2/3,2026-01-01,2027-01-01,LicenseRef-R
atlas,agency,,,,
"""
PEOPLE = "publisher_id,name\nthomson,Thomson Corp\nagency,The Agency\n"


def refusal(path: Path, people: Path | None = None) -> str:
    with pytest.raises(RightsError) as raised:
        read_rights(path, people)
    return str(raised.value)


def test_a_csv_is_read(tmp_path: Path) -> None:
    book = read_rights(write(tmp_path, GOOD), write(tmp_path, PEOPLE, "publishers.csv"))
    assert [right.split for right in book.rights] == [Fraction(1, 3), Fraction(2, 3), Fraction(1)]
    assert book.rights[1].valid_to == date(2027, 1, 1)
    assert book.rights[2].valid_from is None
    assert book.publishers == (Publisher("thomson", "Thomson Corp"), Publisher("agency", "The Agency"))


def test_without_publishers_file_ids_are_names(tmp_path: Path) -> None:
    book = read_rights(write(tmp_path, GOOD), None)
    assert book.publishers == (Publisher("agency", "agency"), Publisher("thomson", "thomson"))


def test_three_formats_give_the_same_book(tmp_path: Path) -> None:
    rows = [
        {"source_id": "reuters", "publisher_id": "thomson", "split": "1/3", "valid_from": date(2026, 1, 1)},
        {"source_id": "reuters", "publisher_id": "agency", "split": "2/3", "valid_from": date(2026, 1, 1)},
        {"source_id": "atlas", "publisher_id": "agency", "split": None, "valid_from": None},
    ]
    rows[1]["valid_to"] = date(2027, 1, 1)
    parquet = tmp_path / "sources.parquet"
    pq.write_table(pa.Table.from_pylist([{"valid_to": None} | row for row in reversed(rows)]), parquet)
    books = [
        read_rights(write(tmp_path, "\ufeff" + GOOD), None),
        read_rights(write(tmp_path, yaml.safe_dump(rows), "sources.yaml"), None),
        read_rights(parquet, None),
    ]
    assert len({book.sha256 for book in books}) == 1


def test_short_decimals_are_exact_in_every_type(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "- {source_id: s, publisher_id: p, split: 0.1}\n- {source_id: t, publisher_id: p, split: 1}",
        "s.yml",
    )
    assert [right.split for right in read_rights(path, None).rights] == [Fraction(1, 10), Fraction(1)]
    parquet = tmp_path / "s.parquet"
    pq.write_table(pa.table({"source_id": ["s"], "publisher_id": ["p"], "split": [Decimal("0.50")]}), parquet)
    assert read_rights(parquet, None).rights[0].split == Fraction(1, 2)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("s,p,half,,", "line 2, column split: 'half' is not a number such as 1, 0.5 or 1/3. Correct it"),
        ("s,p,1/0,,", "column split: '1/0' is not a number"),
        ("s,p,-0.5,,", "column split: '-0.5' is not a number"),
        ("s,p,0,,", "column split: 0 is not above 0"),
        ("s,p,1.5,,", "column split: 1.5 is not between 0 and 1"),
        ("s,p,1,2026-02-01,2026-02-01", "column valid_to: 2026-02-01 is not after valid_from 2026-02-01"),
        ("s,p,1,1.2.2026,", "column valid_from: 1.2.2026 is not a day. Write it as 2026-10-31"),
        (",p,1,,", "line 2, column source_id is empty. Fill it in"),
        ("s,p,1,,\ns,p,1/2,,", "line 3 repeats line 2. Remove one"),
        ("s,p,1,,,,", "line 2: 7 cells for 5 columns. Quote the commas"),
    ],
)
def test_bad_rows_are_told_by_file_row_and_column(tmp_path: Path, row: str, told: str) -> None:
    path = write(tmp_path, f"source_id,publisher_id,split,valid_from,valid_to\n{row}\n")
    message = refusal(path)
    assert told in message
    assert message.startswith(str(path))


def test_all_bad_rows_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "source_id,publisher_id,split\n" + "s,p,x\n" * 30)
    assert refusal(path).splitlines()[-1] == "  and 10 more"


def test_an_unknown_publisher_gets_a_suggestion(tmp_path: Path) -> None:
    people = write(tmp_path, PEOPLE, "publishers.csv")
    near = refusal(write(tmp_path, "source_id,publisher_id\ns,agancy\n"), people)
    assert "line 2, column publisher_id: agancy is not in publishers.csv. Did you mean agency?" in near
    far = refusal(write(tmp_path, "source_id,publisher_id\ns,zzz\n"), people)
    assert f"Add it to {people}" in far


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("source,publisher_id\ns,p\n", "s.csv", "unknown column source"),
        ("site,publisher_id\ns,p\n", "s.csv", "column source_id is missing, got site, publisher_id. Add"),
        ("source_id,publisher_id,valid_form\ns,p,\n", "s.csv", "column valid_form. Did you mean valid_from?"),
        ("source_id,publisher_id,split,split\ns,p,1,1\n", "s.csv", "occurs twice"),
        ("source_id,publisher_id\n", "s.csv", "has no rows. It needs the columns source_id"),
        ("", "s.csv", "has no rows"),
        ("a: 1", "s.yaml", "not a list of mappings"),
        ("- [1, 2", "s.yaml", "cannot be read as yaml"),
        ("- {source_id: s, publisher_id: p, valid_from: 2026-13-01}", "s.yaml", "2026-13-01 is not a day of"),
        (
            "- {source_id: s, publisher_id: p, valid_from: 2026-W40}",
            "s.yaml",
            "2026-W40 is not a day. Write it as",
        ),
        ("- {source_id: null, publisher_id: p}", "s.yaml", "entry 1, column source_id is empty"),
        ("- {source_id: s, publisher_id: p, split: 1_0}", "s.yaml", "column split: '1_0' is not a number"),
        ("- {source_id: s, publisher_id: p, split: 1e-1}", "s.yaml", "column split: '1e-1' is not a number"),
        ("- {source_id: s, publisher_id: p, split: 1:30}", "s.yaml", "column split: '1:30' is not a number"),
        (f"source_id,publisher_id,split\ns,p,1/{'3' * 5000}\n", "s.csv", "is not a number"),
        ("not parquet", "s.parquet", "cannot be read as parquet"),
        ("x", "s.xlsx", "unknown kind of file. Use one of .csv, .parquet, .yaml, .yml"),
    ],
)
def test_bad_files_are_told_by_name(tmp_path: Path, text: str, name: str, told: str) -> None:
    path = write(tmp_path, text, name)
    assert str(path) in refusal(path)
    assert told in refusal(path)


@pytest.mark.parametrize("written", ["0177", "12:30", "2026-01-05", "no", "1.10", "1e3", "true", "0x1F", "'null'"])
def test_ids_in_yaml_are_as_written(tmp_path: Path, written: str) -> None:
    path = write(tmp_path, f"- {{source_id: {written}, publisher_id: {written}, split: 1.0}}", "s.yaml")
    [right] = read_rights(path, None).rights
    assert (right.source_id, right.publisher_id, right.split) == (written.strip("'"), written.strip("'"), 1)


@given(st.text("0123456789_:.-+exonyf", min_size=1, max_size=10))
def test_csv_and_yaml_say_the_same_id(tmp_path_factory: pytest.TempPathFactory, written: str) -> None:
    folder = tmp_path_factory.mktemp("ids")
    csv = write(folder, f"source_id,publisher_id\n{written},p\n")
    try:
        [in_yaml] = read_rights(
            write(folder, f"- {{source_id: {written}, publisher_id: p}}", "s.yaml"), None
        ).rights
    except RightsError:
        return
    [in_csv] = read_rights(csv, None).rights
    assert in_yaml.source_id == in_csv.source_id == written


def test_parquet_numbers_are_exact_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    for split in (1 / 3, 0.1234567):
        pq.write_table(pa.table({"source_id": ["s"], "publisher_id": ["p"], "split": [split]}), path)
        assert "hides its exact part. Write text: '1/3'" in refusal(path)
    pq.write_table(pa.table({"source_id": [177.0], "publisher_id": ["p"]}), path)
    assert "row 1, column source_id: 177.0 is a binary number. Write the column as text" in refusal(path)
    pq.write_table(pa.table({"source_id": ["s"], "publisher_id": pa.array([b"p"], pa.binary())}), path)
    assert read_rights(path, None).rights[0].publisher_id == "p"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "does not exist. Write it, or correct its path" in refusal(tmp_path / "none.csv")
    assert "cannot be read as csv" in refusal(_latin1(tmp_path))


def _latin1(folder: Path) -> Path:
    path = folder / "latin1.csv"
    path.write_bytes("source_id,publisher_id\nsüd,p\n".encode("latin-1"))
    return path
