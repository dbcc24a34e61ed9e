"""The digest of what runs committed to a table: the same whatever files the rows lie in, and in whatever order.

Rows are sorted by all columns and every column is hashed for itself, as plain little-endian bytes. So a digest
survives compaction, other versions of DuckDB and Arrow, and columns that a later schema adds: what is empty in
all rows is left out. Sorting is the price of a proof. A sum or an exclusive or of the rows' hashes needs none,
but other rows with the same sum can be found (by elimination, or Wagner's generalised birthdays), and it is the
payer, who holds the lake, that the digest binds. Measured on `influence` with two shared cores: 0.4 s per million
rows for 3 million, 1.3 s for 20 million; SHA-256 of every row alone takes 0.8 s.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tribute.royalty.exact import canonical_json
from tribute_storage import SCHEMAS

BATCH = 2**17
"""Rows hashed at once; no part of the digest."""
NUMBERS = {pa.bool_(): pa.uint8(), pa.date32(): pa.int32(), pa.timestamp("us", tz="UTC"): pa.int64()}
"""Types that are hashed as whole numbers: days and microseconds since 1970."""


class Digest(NamedTuple):
    """How many rows there are, and their SHA-256, hexadecimal."""

    rows: int
    sha256: str


def table_digest(connection: duckdb.DuckDBPyConnection, table: str, run_ids: Sequence[str]) -> Digest:
    """The digest of all rows that some runs committed to a table.

    It is the SHA-256 of the canonical JSON `{"rows": n, "columns": {column: {part: sha256}}}` over the columns
    that are not empty in all rows. Parts: `filled` (a byte per row, where a column may be empty), `value` (numbers
    as they are, 0 where empty and for -0.0, which sorts like 0; dates and moments as days and microseconds since
    1970; texts as UTF-8, one behind the other), `length` (of every text or list, 64 bits), and the same of a
    list's items with `item ` before.
    """
    columns = ", ".join(f'"{field.name}"' for field in SCHEMAS[table])
    order = ", ".join(f'"{field.name}" nulls first' for field in SCHEMAS[table])
    found = connection.sql(
        f"select {columns} from {table} semi join (select unnest($1::varchar[]) as run_id) using (run_id) "
        f"order by {order}",
        params=[list(run_ids)],
    )
    hashes: dict[str, dict[str, hashlib._Hash]] = defaultdict(lambda: defaultdict(hashlib.sha256))
    filled, rows = set[str](), 0
    for batch in found.to_arrow_reader(BATCH):
        rows += batch.num_rows
        for field, column in zip(SCHEMAS[table], batch.columns, strict=True):
            if column.null_count < len(column):
                filled.add(field.name)
            for part, content in _parts(column, field.nullable):
                hashes[field.name][part].update(content)
    hexdigests = {name: {part: each.hexdigest() for part, each in hashes[name].items()} for name in sorted(filled)}
    return Digest(rows, hashlib.sha256(canonical_json({"rows": rows, "columns": hexdigests})).hexdigest())


def _parts(column: pa.Array, nullable: bool) -> Iterator[tuple[str, bytes | memoryview]]:
    if nullable:
        yield "filled", _bytes(column.is_valid())
    if pa.types.is_list(column.type):
        yield "length", _bytes(pc.list_value_length(column).fill_null(0).cast(pa.int64()))
        for part, content in _parts(column.flatten(), nullable=True):
            yield f"item {part}", content
    elif pa.types.is_string(column.type):
        texts = column.fill_null("").cast(pa.large_binary())
        yield "length", _bytes(pc.binary_length(texts))
        yield "value", _texts(texts)
    else:
        yield "value", _bytes(column.fill_null(0) if column.null_count else column)


def _bytes(numbers: pa.Array) -> bytes:
    plain = numbers.cast(NUMBERS.get(numbers.type, numbers.type))
    array = plain.to_numpy(zero_copy_only=False)
    if pa.types.is_floating(plain.type):
        array = array + 0.0  # makes 0.0 of -0.0
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def _texts(texts: pa.Array) -> bytes | memoryview:
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(content)[ends[0] : ends[-1]] if content is not None else b""
