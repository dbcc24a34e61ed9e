"""Digests of runs: a plain loop gives the same, files and order do not count, every value does."""

import hashlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.unit.storage.rows import any_rows, varied_rows
from tribute.royalty.exact import canonical_json
from tribute_jobs.period.digests import Digest, table_digest
from tribute_storage import SCHEMAS, Lake, compact, open_tables

NUMBERS = {
    pa.bool_(): "<B",
    pa.int32(): "<i",
    pa.int64(): "<q",
    pa.float32(): "<f",
    pa.float64(): "<d",
    pa.date32(): "<i",
    pa.timestamp("us", tz="UTC"): "<q",
}


def digest(lake: Lake, table: str, *run_ids: str) -> Digest:
    with open_tables(lake.root) as connection:
        return table_digest(connection, table, run_ids)


def by_loops(rows: pa.Table) -> Digest:
    """The digest of rows that are in order, value by value."""
    told = {}
    for field in rows.schema:
        column = rows[field.name]
        if column.null_count == len(column):
            continue
        parts: dict[str, bytes] = {}
        if field.nullable:
            parts["filled"] = bytes(value.is_valid for value in column)
        if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type):
            column = column.cast(pa.int32() if pa.types.is_date(field.type) else pa.int64())
        parts |= _parts(field.type, column.to_pylist())
        told[field.name] = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    content = canonical_json({"rows": rows.num_rows, "columns": told})
    return Digest(rows.num_rows, hashlib.sha256(content).hexdigest())


def _parts(type_: pa.DataType, values: list[Any]) -> dict[str, bytes]:
    if pa.types.is_list(type_):
        told = [item for value in values for item in value or []]
        items = {"filled": bytes(item is not None for item in told)} | _parts(type_.value_type, told)
        return {"length": _lengths(values)} | {f"item {name}": content for name, content in items.items()}
    if pa.types.is_string(type_):
        texts = [(value or "").encode() for value in values]
        return {"length": _lengths(texts), "value": b"".join(texts)}
    zero = 0.0 if pa.types.is_floating(type_) else 0
    return {"value": b"".join(struct.pack(NUMBERS[type_], (value or 0) + zero) for value in values)}


def _lengths(values: list[Any]) -> bytes:
    return b"".join(struct.pack("<q", len(value or [])) for value in values)


def ordered(rows: pa.Table) -> pa.Table:
    """By all columns, binary, what is empty first: as Python compares them, of rows without NaN."""
    keys = [[(value is not None, _key(value)) for value in row.values()] for row in rows.to_pylist()]
    return rows.take(sorted(range(rows.num_rows), key=lambda index: keys[index]))


def _key(value: Any) -> Any:
    if isinstance(value, list):
        return [item.encode() for item in value]
    return value.encode() if isinstance(value, str) else value if value is not None else 0


def covering() -> Iterator[object]:
    """Tables; those with no type of column that none before them has are slow tests."""
    seen = set[tuple[pa.DataType, bool]]()
    for name, schema in SCHEMAS.items():
        types = {(field.type, field.nullable) for field in schema}
        yield pytest.param(name, marks=() if types - seen else pytest.mark.slow)
        seen |= types


@pytest.mark.parametrize("table", covering())
def test_it_is_what_a_plain_loop_gives_whatever_the_files_and_their_order(table: str, tmp_path: Path) -> None:
    rows, lake = varied_rows(table, "r1", 60), Lake(tmp_path / "lake")
    index = list(range(60))
    random.Random(0).shuffle(index)
    lake.commit(table, "r1", [lake.stage(table, rows.take(index[part::4])) for part in range(4)])
    lake.append(table, "r2", varied_rows(table, "r2", 5))
    with open_tables(lake.root) as connection:
        order = ", ".join(f'"{name}" nulls first' for name in rows.column_names)
        stored = connection.sql(f"select * from {table} where run_id = 'r1' order by {order}").to_arrow_table()
    found = digest(lake, table, "r1")
    assert found == by_loops(stored.cast(SCHEMAS[table])) and found.rows == 60
    compact(lake, table)
    assert digest(lake, table, "r1") == found
    assert digest(lake, table, "r1", "r2") == digest(lake, table, "r2", "r1") != found
    assert digest(lake, table, "r3") == by_loops(rows.slice(0, 0))


def test_rows_are_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    lake, rows = Lake(tmp_path / "lake"), varied_rows("rights", "r1", 200)
    lake.append("rights", "r1", rows)
    assert digest(lake, "rights", "r1") == by_loops(ordered(rows))


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_column_counts(table: str) -> None:
    rows = any_rows(table, 3).to_pylist()
    changes: dict[str, Any] = {"str": "other", "bool": False, "int": 7, "float": 0.25, "list": ["te", "xt"]}
    seen = set()
    for name in (None, *SCHEMAS[table].names[1:]):
        changed = [dict(row) | {"run_id": "r"} for row in rows]
        if name is not None:
            value = changed[1][name]
            changed[1][name] = (
                changes[type(value).__name__] if type(value).__name__ in changes else value.replace(year=1999)
            )
        with duckdb.connect() as connection:
            connection.register(table, pa.Table.from_pylist(changed, SCHEMAS[table]))
            seen.add(table_digest(connection, table, ["r"]).sha256)
    assert len(seen) == len(SCHEMAS[table].names)


def test_texts_do_not_flow_into_each_other_and_empty_is_not_missing(tmp_path: Path) -> None:
    row = any_rows("queries").to_pylist()[0] | {"run_id": "r"}
    seen = set()
    for number, customers in enumerate([("ab", "c"), ("a", "bc"), ("abc", ""), ("abc", None)]):
        rows = [row | {"query_id": f"q{index}", "customer_id": each} for index, each in enumerate(customers)]
        lake = Lake(tmp_path / f"lake-{number}")
        lake.append("queries", "r", pa.Table.from_pylist(rows, SCHEMAS["queries"]))
        seen.add(digest(lake, "queries", "r").sha256)
    assert len(seen) == 4


def test_items_that_are_missing_are_not_empty_texts(tmp_path: Path) -> None:
    row = any_rows("simulations").to_pylist()[0] | {"run_id": "r"}
    seen = set()
    for number, removed in enumerate([["a", None], ["a", ""], ["a"], ["", "a"]]):
        lake = Lake(tmp_path / f"lake-{number}")
        lake.append("simulations", "r", pa.Table.from_pylist([row | {"removed": removed}], SCHEMAS["simulations"]))
        seen.add(digest(lake, "simulations", "r").sha256)
    assert len(seen) == 4


def test_missing_numbers_of_a_list_are_not_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = pa.schema([("run_id", pa.string()), ("shares", pa.list_(pa.float64()))])
    monkeypatch.setitem(SCHEMAS, "shares", schema)
    seen = set()
    with duckdb.connect() as connection:
        for shares in ([1.0, None], [1.0, 0.0], [1.0, -0.0]):
            connection.register("shares", pa.Table.from_pylist([{"run_id": "r", "shares": shares}], schema))
            seen.add(table_digest(connection, "shares", ["r"]))
    assert len(seen) == 2, "and -0.0 is 0.0"


def test_rows_that_differ_in_the_sign_of_zero_alone_are_alike_in_any_order(tmp_path: Path) -> None:
    row = any_rows("influence").to_pylist()[0] | {"run_id": "r"}
    name = next(field.name for field in SCHEMAS["influence"] if pa.types.is_floating(field.type))
    seen = set()
    for number, zeros in enumerate([(0.0, -0.0), (-0.0, 0.0), (0.0, 0.0)]):
        lake = Lake(tmp_path / f"lake-{number}")
        rows = [row | {name: zero} for zero in zeros]
        lake.append("influence", "r", pa.Table.from_pylist(rows, SCHEMAS["influence"]))
        seen.add(digest(lake, "influence", "r"))
    assert len(seen) == 1


def test_a_column_of_a_later_schema_that_is_empty_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    rows = [row | {"run_id": "r"} for row in any_rows("valuations", 3).to_pylist()]
    later = ("attribute_runs", "rights_run", "estimates_run", "retrain_run", "expected_misallocation")
    plain = [row | dict.fromkeys(later) for row in rows]
    lake.append("valuations", "r", pa.Table.from_pylist(plain, SCHEMAS["valuations"]))
    with_them = digest(lake, "valuations", "r")
    kept = [field for field in SCHEMAS["valuations"] if field.name not in later]
    with open_tables(lake.root) as connection:
        monkeypatch.setitem(SCHEMAS, "valuations", pa.schema(kept, metadata=SCHEMAS["valuations"].metadata))
        assert table_digest(connection, "valuations", ["r"]) == with_them
