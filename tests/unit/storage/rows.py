"""Small tables that fit the lake's schemas, for the tests of storage."""

from datetime import UTC, date, datetime

import pyarrow as pa

from tribute_storage import SCHEMAS

VALUES = {
    pa.list_(pa.string()): ["text"],
    pa.string(): "text",
    pa.bool_(): True,
    pa.int32(): 1,
    pa.int64(): 2**40,
    pa.float32(): 0.5,
    pa.float64(): -0.25,
    pa.date32(): date(2026, 10, 1),
    pa.timestamp("us", tz="UTC"): datetime(2026, 10, 1, tzinfo=UTC),
}


def any_rows(table: str, count: int = 1) -> pa.Table:
    """`count` equal rows of any table."""
    schema = SCHEMAS[table]
    return pa.Table.from_pylist([{field.name: VALUES[field.type] for field in schema}] * count, schema)


def publisher_rows(run_id: str, ids: list[str]) -> pa.Table:
    """A row of `publishers` per id."""
    rows = [{"run_id": run_id, "publisher_id": each, "name": each.upper()} for each in ids]
    return pa.Table.from_pylist(rows, SCHEMAS["publishers"])
