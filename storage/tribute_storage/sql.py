"""Anyone's SQL over the lake: one statement that reads, in a connection that can reach nothing else."""

from pathlib import Path

import duckdb
import pyarrow as pa

from tribute_storage.errors import LakeError
from tribute_storage.reading_only import require_reading_only
from tribute_storage.schemas import SCHEMAS, doc_of
from tribute_storage.views import SQL_TYPES, committed_files, connect_files, literals


def query(root: Path | str, sql: str) -> pa.Table:
    """The answer to `sql` over the committed tables of the lake under `root`.

    Two fences: the statement must only read (`reading_only`), and its connection opens no file but the
    committed ones, loads no extension, sees no Python variable and cannot change its settings.

    Raises:
        LakeError: the statement is refused, or DuckDB's own message if it fails.
    """
    files = committed_files(root)
    with connect_files(files) as connection:
        _fence(connection, [path for paths in files.values() for path in paths])
        require_reading_only(connection, sql)
        try:
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise LakeError(str(error)) from error


def describe() -> pa.Table:
    """Every column of the lake with its SQL type and its meaning: columns table, column, type and meaning."""
    rows = [
        {"table": table, "column": field.name, "type": SQL_TYPES[field.type], "meaning": doc_of(field)}
        for table, schema in SCHEMAS.items()
        for field in schema
    ]
    return pa.Table.from_pylist(rows)


def _fence(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    for setting in (
        "temp_directory = ''",
        f"allowed_paths = {literals(files)}",
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "allow_community_extensions = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
