"""What a worker does: check rows against the table's schema and write them as one Parquet file.

A staged file is on disk but in no version of its table, so no reader sees it before the driver commits it.
"""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tribute_storage.atomic import write_atomically
from tribute_storage.errors import LakeError
from tribute_storage.schemas import schema_of


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


CommittedFile = StagedFile


def stage(root: Path, table: str, rows: pa.Table) -> StagedFile:
    """Write `rows` to a new zstd Parquet file of `table` under `root`; nothing becomes visible.

    The name starts with the content's hash, so that files sort the same way in every run, and ends at
    random, so that two workers never write one file.

    Raises:
        LakeError: the rows are not those of the table, or the file cannot be written.
    """
    content = _parquet(conform(table, rows))
    name = f"{hashlib.sha256(content).hexdigest()[:16]}-{uuid.uuid4().hex[:16]}.parquet"
    try:
        write_atomically(root / table / name, content)
    except OSError as error:
        raise LakeError(
            f"Could not write {rows.num_rows} rows of table {table} under {root}: {error}. "
            "Nothing was committed; make room or change the lake's folder, then run the stage again."
        ) from error
    return StagedFile(f"{table}/{name}", len(content), rows.num_rows)


def conform(table: str, rows: pa.Table) -> pa.Table:
    """`rows` with exactly the columns of `table`, in its order.

    Raises:
        LakeError: a column is missing, unknown, twice there, of another type, or empty where it may not be.
    """
    schema = schema_of(table)
    _check_names(table, schema, rows)
    wrong = [
        f"{field.name} is {rows.schema.field(field.name).type}, expected {field.type}"
        for field in schema
        if rows.schema.field(field.name).type != field.type
    ]
    empty = [
        f"{field.name} is empty in {rows[field.name].null_count} of {rows.num_rows} rows"
        for field in schema
        if not field.nullable and rows[field.name].null_count
    ]
    if wrong or empty:
        raise LakeError(f"Rows for table {table} do not fit its schema: {'; '.join(wrong + empty)}.")
    return pa.Table.from_arrays([rows[name] for name in schema.names], schema=schema)


def _check_names(table: str, schema: pa.Schema, rows: pa.Table) -> None:
    findings = {
        "missing": [name for name in schema.names if name not in rows.column_names],
        "unknown": [name for name in rows.column_names if name not in schema.names],
        "more than once": [name for name in schema.names if rows.column_names.count(name) > 1],
    }
    told = "; ".join(f"{what}: {', '.join(names)}" for what, names in findings.items() if names)
    if told:
        raise LakeError(f"Columns for table {table} do not fit its schema: {told}.")


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    text = [field.name for field in rows.schema if pa.types.is_string(field.type)]
    pq.write_table(rows, sink, compression="zstd", use_dictionary=text)
    return sink.getvalue().to_pybytes()
