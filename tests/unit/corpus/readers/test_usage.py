"""Usage files in both formats, and every way in which they can be wrong."""

from datetime import UTC, datetime
from pathlib import Path

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
        ("weight", -1),
        ("weight", float("nan")),
        ("weight", float("inf")),
        ("weight", "much"),
        ("inclusion_probability", 0),
        ("inclusion_probability", 1.5),
        ("inclusion_probability", float("nan")),
    ],
)
def test_bad_cells_are_told_by_file_row_and_column(tmp_path: Path, column: str, value: object) -> None:
    path = usage(tmp_path, ROW, ROW | {"query_id": "q2"} | {column: value})
    assert refusal(lambda: usage_queries(path, 17)).startswith(f"{path}, row 2: column {column!r} is {value!r}: ")


@pytest.mark.parametrize(("column", "value"), [("label", -1), ("label", 1.5), ("label", True), ("features", "x")])
def test_bad_vectors_are_told_by_file_row_and_column(tmp_path: Path, column: str, value: object) -> None:
    path = usage(tmp_path, VECTOR | {column: value})
    assert refusal(lambda: usage_queries(path, None)).startswith(f"{path}, row 1: column {column!r}")


def test_an_unknown_column_is_told(tmp_path: Path) -> None:
    path = usage(tmp_path, ROW | {"wieght": 2})
    assert f"{path} has unknown columns: wieght. Known: customer_id" in refusal(lambda: usage_queries(path, 17))


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
    assert refusal(lambda: usage_queries(path, None)).startswith(f"{path}: ")


def test_neither_the_order_of_rows_nor_the_offset_of_times_changes_the_queries(tmp_path: Path) -> None:
    rows = [ROW | {"time": "2026-10-05T14:00:00+02:00"}, ROW | {"query_id": "q2", "text": "other"}]
    there = usage_queries(usage(tmp_path, *rows), 17)
    back = usage_queries(usage(tmp_path, rows[1], rows[0] | {"time": "2026-10-05T12:00:00Z"}), 17)
    assert (there.sha256, there.query_ids) == (back.sha256, ("q1", "q2"))
    assert there.rows["tokens"].tobytes() == back.rows["tokens"].tobytes()
