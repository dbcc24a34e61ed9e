"""Small tables that fit the lake's schemas, for the tests of storage."""

import random
import struct
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from tribute_storage import SCHEMAS
from tribute_storage.columns import bits_of

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
TEXTS = [
    "",
    " ",
    "it's",
    'a "b"',
    "ü",
    "日本",
    "🦉",
    "\N{COMBINING DIAERESIS}",
    "a,b\nc",
    "%20",
    "x" * 300,
    "NULL",
]
FLOATS = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 2.0**-149, -1.5, 2.0**100]
VARIED: dict[pa.DataType, Callable[[random.Random], Any]] = {
    pa.list_(pa.string()): lambda draw: draw.choices(TEXTS, k=draw.randrange(3)),
    pa.string(): lambda draw: draw.choice([*TEXTS, str(draw.random())]),
    pa.bool_(): lambda draw: draw.random() < 0.5,
    pa.int32(): lambda draw: draw.randrange(-(2**31), 2**31),
    pa.int64(): lambda draw: draw.randrange(-(2**63), 2**63),
    pa.float32(): lambda draw: draw.choice([*FLOATS, draw.randrange(2**24) / 2**20]),
    pa.float64(): lambda draw: draw.choice([*FLOATS, draw.random(), 1e300]),
    pa.date32(): lambda draw: date(1, 1, 1) + timedelta(draw.randrange(3_000_000)),
    pa.timestamp("us", tz="UTC"): lambda draw: (
        datetime.fromtimestamp(draw.randrange(2**31), UTC) + timedelta(microseconds=draw.randrange(10**6))
    ),
}


def any_rows(table: str, count: int = 1) -> pa.Table:
    """`count` equal rows of any table."""
    schema = SCHEMAS[table]
    return pa.Table.from_pylist([{field.name: VALUES[field.type] for field in schema}] * count, schema)


def varied_rows(table: str, run_id: str, count: int = 50, seed: int = 0) -> pa.Table:
    """Rows of any table with odd texts, extreme numbers and, where they may be, empty values."""
    draw = random.Random(f"{table} {run_id} {seed}")
    rows = [
        {field.name: _value(field, draw) for field in SCHEMAS[table]} | {"run_id": run_id} for _ in range(count)
    ]
    return pa.Table.from_pylist(rows, SCHEMAS[table])


def publisher_rows(run_id: str, ids: list[str]) -> pa.Table:
    """A row of `publishers` per id."""
    rows = [{"run_id": run_id, "publisher_id": each, "name": each.upper()} for each in ids]
    return pa.Table.from_pylist(rows, SCHEMAS["publishers"])


def bag(*tables: pa.Table) -> Counter[tuple[Any, ...]]:
    """Rows as a multiset, floats bit for bit."""
    rows = [row for table in tables for row in table.to_pylist()]
    return Counter(tuple((name, _bits(value)) for name, value in sorted(row.items())) for row in rows)


def _value(field: pa.Field, draw: random.Random) -> Any:
    if field.nullable and draw.random() < 1 / 3:
        return None
    if bits_of(field):
        return draw.randrange(2 ** bits_of(field)) * 2.0 ** draw.randrange(-20, 20)
    return VARIED[field.type](draw)


def _bits(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack("<d", value)
    return tuple(value) if isinstance(value, list) else value


def lone_valuation(run_id: str) -> pa.Table:
    """A row of `valuations` that rests on no attribution, estimate or training."""
    [valued, *_] = any_rows("valuations").to_pylist()
    runs = {"run_id": run_id, "attribute_runs": [], "rights_run": "rights-1"}
    nothing = {"estimates_run": None, "retrain_run": None}
    return pa.Table.from_pylist([valued | runs | nothing], SCHEMAS["valuations"])
