"""Usage files in both formats, and every way in which they can be wrong."""

import gzip
import re
import unicodedata
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.corpus.small import refusal, write_jsonl
from tribute.corpus import usage_queries

MOMENT = datetime(2026, 10, 5, 12, tzinfo=UTC)
ROW = {"query_id": "q1", "text": "some text"}
VECTOR = {"query_id": "q1", "features": [1.0, 2.0], "label": 3}


def usage(folder: Path, *rows: dict[str, object]) -> Path:
    return write_jsonl(folder / "usage.jsonl", rows)


def test_all_columns_are_read(tmp_path: Path) -> None:
    more = {
        "time": "2026-10-05T14:00:00+02:00",
        "customer_id": "acme",
        "weight": 2.5,
        "inclusion_probability": 0.1,
    }
    table = usage_queries(usage(tmp_path, ROW | more), 17)
    assert (table.query_ids, table.customers, table.times) == (("q1",), ("acme",), (MOMENT,))
    assert (table.weights.tolist(), table.inclusion.tolist()) == ([2.5], [0.1])


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    table = usage_queries(usage(tmp_path, ROW, ROW | {"query_id": "q2", "weight": None, "customer_id": None}), 17)
    assert (table.weights.tolist(), table.inclusion.tolist()) == ([1.0, 1.0], [1.0, 1.0])
    assert table.customers == (None, None)


def test_both_formats_give_the_same_queries(tmp_path: Path) -> None:
    lines = usage(tmp_path, ROW | {"time": MOMENT.isoformat(), "weight": 2.0})
    parquet = tmp_path / "usage.parquet"
    pq.write_table(pa.Table.from_pylist([ROW | {"time": MOMENT, "weight": 2.0}]), parquet)
    assert usage_queries(lines, 17).sha256 == usage_queries(parquet, 17).sha256


def test_feature_vectors_are_read(tmp_path: Path) -> None:
    table = usage_queries(usage(tmp_path, VECTOR, VECTOR | {"query_id": "q2", "label": 0}), None)
    assert table.rows["features"].tolist() == [[1, 2], [1, 2]]
    assert table.rows["labels"].tolist() == [3, 0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", None),
        ("text", "x"),
        ("text", 7),
        ("query_id", None),
        ("query_id", 7),
        ("time", "2026-10-05T12:00:00"),
        ("time", "yesterday"),
        ("time", 20261005),
        ("time", "2026-W41-1T00:00:00Z"),
        ("time", "2026-06-30T23:59:60Z"),
        ("time", "2026-10-31T24:00:00Z"),
        ("weight", -1),
        ("weight", "much"),
        ("weight", True),
        ("weight", "1_000"),
        ("weight", "1,5"),
        ("weight", "1e3"),
        ("weight", 1e-10),
        ("weight", 1e10),
        ("weight", 10**400),
        ("inclusion_probability", 0),
        ("inclusion_probability", 1.5),
        ("inclusion_probability", 1e-10),
        ("inclusion_probability", False),
    ],
)
def test_bad_cells_are_told_by_file_row_and_column(tmp_path: Path, column: str, value: object) -> None:
    path = usage(tmp_path, ROW, ROW | {"query_id": "q2"} | {column: value})
    told = refusal(lambda: usage_queries(path, 17))
    assert told.startswith(f"{path}, row 2: column {column!r} is ")
    assert repr(value)[:80] in told
    assert len(told) < len(str(path)) + 300


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("column", ["weight", "inclusion_probability"])
def test_what_is_no_number_is_refused(tmp_path: Path, column: str, number: str) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_text(f'{{"query_id": "q1", "text": "some text", "{column}": {number}}}\n')
    assert refusal(lambda: usage_queries(path, 17)).startswith(f"{path}, row 1")


def test_a_key_that_stands_twice_is_refused_by_row(tmp_path: Path) -> None:
    path = usage(tmp_path, ROW)
    path.write_text(path.read_text() + '{"query_id": "q2", "text": "more text", "weight": 5, "weight": 1}\n')
    assert f"{path}, row 2: the key 'weight' stands twice" in refusal(lambda: usage_queries(path, 17))
    table = pa.table([["q1"], ["some text"], [1.0], [2.0]], names=["query_id", "text", "weight", "weight"])
    pq.write_table(table, tmp_path / "usage.parquet")
    assert "the column 'weight' occurs twice" in refusal(lambda: usage_queries(tmp_path / "usage.parquet", 17))


@pytest.mark.parametrize(
    "period", ["2026-13", "2026-1", "2026-10-01", "2026-W40", " 2026-10", "9999-12", "２０２６-10", 202610]
)
def test_a_period_that_is_no_month_is_refused_as_such(tmp_path: Path, period: object) -> None:
    told = refusal(lambda: usage_queries(usage(tmp_path, ROW | {"period": period}), 17))
    assert "column 'period' is" in told and "expected a month such as 2026-10" in told


@pytest.mark.parametrize("features", [["1", "2"], [], [None, "2"], [[1.0]], ["x"]])
def test_features_of_text_or_nothing_are_refused(tmp_path: Path, features: list) -> None:
    path = usage(tmp_path, {"query_id": "q", "features": features, "label": 1})
    assert "must be lists of numbers" in refusal(lambda: usage_queries(path, None))


def test_half_a_character_is_refused_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_text('{"query_id": "q", "text": "\\ud800xx"}\n')
    assert "half a character (a lone surrogate). Correct the row" in refusal(lambda: usage_queries(path, 17))


@pytest.mark.parametrize(
    "time",
    [
        pa.array([10**12], pa.timestamp("s", "UTC")),
        pa.array([9 * 10**18], pa.timestamp("ms", "UTC")),
        pa.array([10**9], pa.timestamp("s", "Mars/Olympus")),
        pa.array([-(10**12)], pa.timestamp("s")),
    ],
)
def test_moments_beyond_the_calendar_are_refused(tmp_path: Path, time: pa.Array) -> None:
    path = tmp_path / "usage.parquet"
    pq.write_table(pa.table({"query_id": ["q"], "text": ["some text"], "time": time}), path)
    assert "column 'time' holds moments that are none" in refusal(lambda: usage_queries(path, 17))


def test_weights_as_text_are_read_as_written(tmp_path: Path) -> None:
    rows = [ROW | {"query_id": f"q{n}", "weight": each} for n, each in enumerate(["2", " 3 ", "0.5", 0, "010"])]
    assert usage_queries(usage(tmp_path, *rows), 17).weights.tolist() == [2.0, 3.0, 0.5, 0.0, 10.0]


def test_a_long_text_of_a_customer_is_not_shown(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "secret " * 10_000}]
    told = refusal(lambda: usage_queries(usage(tmp_path, ROW | {"text": chat}), 17))
    assert "row 1: column 'text' is [{'role': 'user', " in told
    assert len(told) < len(str(tmp_path)) + 250


def test_a_row_without_a_time_declares_its_period(tmp_path: Path) -> None:
    rows = [
        ROW | {"period": "2026-10"},
        ROW | {"query_id": "q2", "period": "2026-10", "time": MOMENT.isoformat()},
        ROW | {"query_id": "q3"},
    ]
    table = usage_queries(usage(tmp_path, *rows), 17)
    assert table.times == (datetime(2026, 10, 1, tzinfo=UTC), MOMENT, None)
    assert table.months() == ["2026-10"]
    assert table.within(date(2026, 10, 1), date(2026, 11, 1)).query_ids == ("q1", "q2"), "q3 is of no month"
    for period, told in (("2026-11", "declares the period 2026-11"), ("2026-13", "such as 2026-10")):
        path = usage(tmp_path, ROW | {"time": MOMENT.isoformat(), "period": period})
        assert told in refusal(lambda path=path: usage_queries(path, 17))


def test_several_files_a_pattern_and_gzip_are_one_table(tmp_path: Path) -> None:
    rows = [ROW | {"query_id": f"q{n}", "time": MOMENT.isoformat()} for n in range(3)]
    whole = usage_queries(usage(tmp_path, *rows), 17)
    days = tmp_path / "days"
    days.mkdir()
    (days / "1.jsonl.gz").write_bytes(gzip.compress(write_jsonl(days / "x", rows[:1]).read_bytes()))
    (days / "2.jsonl.gz").write_bytes(gzip.compress(write_jsonl(days / "x", rows[1:2]).read_bytes()))
    last = write_jsonl(tmp_path / "last.jsonl", rows[2:])
    assert usage_queries([days / "*.jsonl.gz", last, days / "1.jsonl.gz"], 17).sha256 == whole.sha256
    again = write_jsonl(tmp_path / "again.jsonl", rows[:1])
    assert "'q0' occurs more than once" in refusal(lambda: usage_queries([days / "*.gz", again], 17))
    assert "is a folder. Name its files in queries.path, such as" in refusal(lambda: usage_queries([days], 17))
    assert f"{days / '*.csv'} does not exist" in refusal(lambda: usage_queries([days / "*.csv"], 17))
    (days / "3.jsonl.gz").write_bytes(b"no gzip")
    assert f"{days / '3.jsonl.gz'} cannot be decompressed" in refusal(
        lambda: usage_queries(days / "3.jsonl.gz", 17)
    )


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("query_id,text\nq1,some text\n")
    assert "is no usage file. Write it as .jsonl, .jsonl.gz or .parquet" in refusal(
        lambda: usage_queries(path, 17)
    )


def test_moments_of_nanoseconds_are_read(tmp_path: Path) -> None:
    last = np.array(["2026-10-31T23:59:59.999999999"], dtype="datetime64[ns]")
    times = pa.array(last, pa.timestamp("ns", tz="UTC"))
    path = tmp_path / "usage.parquet"
    pq.write_table(pa.table({"query_id": ["q1"], "text": ["some text"], "time": times}), path)
    assert usage_queries(path, 17).months() == ["2026-10"]


@pytest.mark.parametrize(("column", "value"), [("label", -1), ("label", 1.5), ("label", True), ("features", "x")])
def test_bad_vectors_are_told_by_file_row_and_column(tmp_path: Path, column: str, value: object) -> None:
    path = usage(tmp_path, VECTOR | {column: value})
    assert refusal(lambda: usage_queries(path, None)).startswith(f"{path}, row 1: column {column!r}")


def test_an_unknown_column_is_told(tmp_path: Path) -> None:
    path = usage(tmp_path, ROW | {"wieght": 2})
    assert "unknown column wieght. Did you mean weight?" in refusal(lambda: usage_queries(path, 17))
    assert usage_queries(usage(tmp_path, ROW | {"note": 2, "notes of ours": "x"}), 17).query_ids == ("q1",)


def test_a_column_of_the_other_kind_of_model_is_not_enough(tmp_path: Path) -> None:
    path = usage(tmp_path, VECTOR)
    assert "has no column text. It has: query_id, features, label" in refusal(lambda: usage_queries(path, 17))


def test_a_repeated_query_is_told(tmp_path: Path) -> None:
    assert "occurs more than once" in refusal(lambda: usage_queries(usage(tmp_path, ROW, ROW), 17))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "does not exist. Correct queries.path" in refusal(lambda: usage_queries(tmp_path / "gone.jsonl", 17))


def test_ids_of_one_letter_are_ids(tmp_path: Path) -> None:
    table = usage_queries(usage(tmp_path, ROW | {"query_id": "7", "customer_id": "A"}), 17)
    assert (table.query_ids, table.customers) == (("7",), ("A",))


@pytest.mark.parametrize("features", [[float("nan"), 1.0], [1.0], [[1.0, 2.0]]])
def test_vectors_that_do_not_fit_together_are_told_by_file(tmp_path: Path, features: list[object]) -> None:
    path = usage(tmp_path, VECTOR, VECTOR | {"query_id": "q2", "features": features})
    assert refusal(lambda: usage_queries(path, None)).startswith((f"{path}: ", f"{path}, row 2: NaN"))


def test_neither_the_order_of_rows_nor_the_offset_of_times_changes_the_queries(tmp_path: Path) -> None:
    rows = [ROW | {"time": "2026-10-05T14:00:00+02:00"}, ROW | {"query_id": "q2", "text": "other"}]
    there = usage_queries(usage(tmp_path, *rows), 17)
    back = usage_queries(usage(tmp_path, rows[1], rows[0] | {"time": "2026-10-05T12:00:00Z"}), 17)
    assert (there.sha256, there.query_ids) == (back.sha256, ("q1", "q2"))
    assert there.rows["tokens"].tobytes() == back.rows["tokens"].tobytes()


CHAT = [{"role": "user", "content": "private " * 9999}]


@pytest.mark.parametrize("column", ["text", "time", "weight", "inclusion_probability", "customer_id", "query_id"])
@pytest.mark.parametrize("value", [CHAT, "p" * 9999, {"private": "p" * 9999}])
def test_what_somebody_wrote_is_not_shown_at_length(tmp_path: Path, column: str, value: object) -> None:
    path = usage(tmp_path, ROW | ({"text": CHAT} if column == "text" and value == "p" * 9999 else {column: value}))
    message = refusal(lambda: usage_queries(path, 17)).removeprefix(str(path))
    assert message.startswith(", row 1: column ") and len(message) < 300


@pytest.mark.parametrize("name", ["a/b", "../q", "[red]", "x" * 1024, "cafe\u0301"])
def test_any_printable_text_is_a_query_and_a_customer(tmp_path: Path, name: str) -> None:
    table = usage_queries(usage(tmp_path, ROW | {"query_id": name, "customer_id": f" {name} "}), 17)
    assert table.query_ids == table.customers == (unicodedata.normalize("NFC", name),)


def test_a_prompt_goes_with_a_text_of_one_byte_or_more(tmp_path: Path) -> None:
    rows = [
        ROW | {"query_id": "a", "prompt": "2 + 2 = ", "text": "4"},
        ROW | {"query_id": "b", "prompt": None},
        ROW | {"query_id": "c", "prompt": ""},
        ROW | {"query_id": "d"},
    ]
    table = usage_queries(usage(tmp_path, *rows), 17)
    assert bytes(table.rows["tokens"][0][table.rows["target"][0]].tolist()) == b"4"
    assert table.digests[1] == table.digests[2] == table.digests[3]
    parquet = tmp_path / "usage.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    assert usage_queries(parquet, 17).sha256 == table.sha256


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"prompt": 7}, "column 'prompt' is 7: expected text, or nothing"),
        ({"prompt": [{"role": "user", "content": "a"}]}, "column 'prompt' .* a list of 1 chat messages"),
        ({"prompt": "a", "text": ""}, "column 'text' is '': expected text, which may be one byte after a prompt"),
        ({"prompt": "", "text": "a"}, "column 'text' is 'a': expected text of at least two bytes"),
    ],
)
def test_a_wrong_prompt_is_refused_by_its_row(tmp_path: Path, more: dict[str, object], told: str) -> None:
    path = usage(tmp_path, ROW | more)
    assert re.match(f"{path}, row 1: {told}", refusal(lambda: usage_queries(path, 17)))
