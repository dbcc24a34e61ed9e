"""The schemas of the lake's tables, by name. Their columns are defined in `tables/`."""

import json

import pyarrow as pa

from tribute_storage.columns import since_of
from tribute_storage.errors import LakeError
from tribute_storage.tables import attribution, corpus, judgement, money, training

SCHEMAS: dict[str, pa.Schema] = {
    **corpus.TABLES,
    **training.TABLES,
    **attribution.TABLES,
    **judgement.TABLES,
    **money.TABLES,
}

SQL_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.list_(pa.string()): "VARCHAR[]",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}


def doc_of(documented: pa.Schema | pa.Field) -> str:
    """The documentation of a table or column."""
    return (documented.metadata or {}).get(b"doc", b"").decode()


def schema_of(table: str) -> pa.Schema:
    """The schema of `table`.

    Raises:
        LakeError: the lake has no such table; the message lists its tables.
    """
    if table not in SCHEMAS:
        raise LakeError(f"The lake has no table {table!r}; it has: {', '.join(SCHEMAS)}.")
    return SCHEMAS[table]


def version_of(table: str) -> int:
    """The version of a table's schema: 1, plus one for every release that added columns."""
    return int(schema_of(table).metadata[b"version"])


def columns_at(table: str, version: int) -> set[str]:
    """The columns that a table had in a version of its schema; a later version only adds some."""
    return {field.name for field in schema_of(table) if since_of(field) <= version}


def order_of(table: str) -> tuple[str, ...]:
    """The columns by which a file's rows are sorted."""
    return tuple(json.loads(schema_of(table).metadata[b"sort_by"]))


def tile_of(table: str) -> dict[str, int]:
    """Distinct values of each column in a row group, at most; empty: row groups are cut by size alone."""
    tile: dict[str, int] = json.loads(schema_of(table).metadata[b"tile"])
    return tile
