"""One DuckDB view per table over its committed files, with the schema's documentation as comments."""

from pathlib import Path

import duckdb
import pyarrow as pa

from tribute_storage.lake import Lake
from tribute_storage.schemas import SCHEMAS, doc_of

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


def connect(root: Path | str) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection with a view per table of the lake under `root`.

    Each view reads the files that were committed when the connection was made, so its answers do not
    change while others write. A table without rows is an empty relation with the same columns. The
    connection is for code one trusts; other people's SQL goes through `sql.query`.
    """
    return connect_files(committed_files(root))


def committed_files(root: Path | str) -> dict[str, list[str]]:
    """Absolute paths of the committed files of every table."""
    lake = Lake(root)
    return {table: lake.files(table) for table in SCHEMAS}


def connect_files(files: dict[str, list[str]]) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with a view per table over the named files."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table, paths in files.items():
        connection.execute(_view(table, paths))
        for comment in _comments(table):
            connection.execute(comment)
    return connection


def literal(text: str) -> str:
    """`text` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: list[str]) -> str:
    """`texts` as a SQL list of string literals."""
    return f"[{', '.join(literal(text) for text in texts)}]"


def _view(table: str, paths: list[str]) -> str:
    if paths:
        columns = ", ".join(f'"{name}"' for name in SCHEMAS[table].names)
        relation = f"{columns} FROM read_parquet({literals(paths)}, hive_partitioning = false)"
    else:
        columns = ", ".join(f'CAST(NULL AS {SQL_TYPES[field.type]}) AS "{field.name}"' for field in SCHEMAS[table])
        relation = f"{columns} WHERE false"
    return f'CREATE VIEW "{table}" AS SELECT {relation}'


def _comments(table: str) -> list[str]:
    schema = SCHEMAS[table]
    columns = [f'COMMENT ON COLUMN "{table}"."{field.name}" IS {literal(doc_of(field))}' for field in schema]
    return [f'COMMENT ON VIEW "{table}" IS {literal(doc_of(schema))}', *columns]
