"""Staging: a worker checks rows against the table's schema and writes them as one Parquet file.

A staged file is on disk but in no version of its table. Readers see it once the driver commits it.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass

import pyarrow as pa

from tribute_storage.errors import LakeError
from tribute_storage.layout import parquet
from tribute_storage.location import Location
from tribute_storage.refusals import fault
from tribute_storage.schemas import schema_of, version_of

NAME = re.compile(r"(?:v(\d+)-)?([0-9a-f]{16})-[0-9a-f]{16}\.parquet")
"""A staged file's name: version of the schema (none: 1), half of the content's hash, a random half."""


@dataclass(frozen=True)
class StagedFile:
    """A file that a worker wrote and a driver may commit.

    Attributes:
        path: relative to the lake's root, with forward slashes.
        size: bytes.
        rows: number of rows.
    """

    path: str
    size: int
    rows: int


def stage(location: Location, table: str, rows: pa.Table) -> StagedFile:
    """Write `rows`, sorted, to a new zstd Parquet file of `table`; nothing becomes visible.

    The name starts with the schema's version and the content's hash, so that files sort the same way in every
    run, and ends at random, so that two workers never write one file.

    Raises:
        LakeError: the rows are not those of the table, or the file cannot be written.
    """
    content = parquet(table, conform(table, rows))
    digest = hashlib.sha256(content).hexdigest()[:16]
    name = f"v{version_of(table)}-{digest}-{uuid.uuid4().hex[:16]}.parquet"
    try:
        location.write(f"{table}/{name}", content)
    except OSError as error:
        what = f"Could not write {rows.num_rows} rows of table {table} under {location.uri}"
        remedy = (
            "Nothing was committed. Make the lake's folder one that can be written to, then run the stage again."
        )
        raise fault(what, error, remedy) from error
    return StagedFile(f"{table}/{name}", len(content), rows.num_rows)


def conform(table: str, rows: pa.Table) -> pa.Table:
    """`rows` with exactly the columns of `table`, in its order; text may come dictionary-encoded.

    Raises:
        LakeError: a column is missing, unknown, repeated, of another type, or empty where it must not be.
    """
    schema = schema_of(table)
    _check_names(table, schema, rows)
    wrong = [
        f"{field.name} is {rows.schema.field(field.name).type}, expected {field.type}"
        for field in schema
        if _plain(rows.schema.field(field.name).type) != field.type
    ]
    empty = [
        f"{field.name} is empty in {rows[field.name].null_count} of {rows.num_rows} rows"
        for field in schema
        if not field.nullable and rows[field.name].null_count
    ]
    if wrong or empty:
        raise LakeError(f"Rows for table {table} do not fit its schema: {'; '.join(wrong + empty)}.")
    fields = [field.with_type(rows.schema.field(field.name).type) for field in schema]
    return pa.Table.from_arrays(
        [rows[name] for name in schema.names], schema=pa.schema(fields, metadata=schema.metadata)
    )


def _plain(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _check_names(table: str, schema: pa.Schema, rows: pa.Table) -> None:
    findings = {
        "missing": [name for name in schema.names if name not in rows.column_names],
        "unknown": [name for name in rows.column_names if name not in schema.names],
        "more than once": [name for name in schema.names if rows.column_names.count(name) > 1],
    }
    problems = "; ".join(f"{what}: {', '.join(names)}" for what, names in findings.items() if names)
    if problems:
        raise LakeError(f"Columns for table {table} do not fit its schema: {problems}.")
