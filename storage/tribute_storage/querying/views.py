"""One DuckDB view per table over its committed files."""

import os
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tribute_storage.errors import LakeError
from tribute_storage.lake import Lake
from tribute_storage.location import Location
from tribute_storage.querying.macros import create_macros
from tribute_storage.schemas import SCHEMAS, columns_at, doc_of, schema_of
from tribute_storage.staging import NAME

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


def connect(root: Path | str, *tables: str, as_of: str | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection with a view per table of the lake under `root`, and the macros.

    Each view reads the files that were committed when the connection was made, so its answers do not
    change while others write. A table without rows is an empty relation with the same columns. The
    connection is for code one trusts; other people's SQL goes through `sql.query`.

    Args:
        tables: only these, with the derived views over them and, of the macros, `as_of` alone. Opening a few takes
            a third of the time of opening all, so code that knows its tables names them. None named: all.
        as_of: see `committed_files`.
    """
    connection = connect_files(root, committed_files(root, as_of, tables or tuple(SCHEMAS)))
    # By default, DuckDB would use a folder in the current directory.
    spilled = Path(tempfile.gettempdir(), f"tribute-{os.getuid()}")
    connection.execute(f"SET temp_directory = {literal(str(spilled))}")
    return connection


def committed_files(
    root: Path | str, as_of: str | None = None, tables: Sequence[str] = tuple(SCHEMAS)
) -> dict[str, list[str]]:
    """Paths of the committed files of every table, or of some.

    Args:
        as_of: a moment such as `2026-10-31T12:00:00+00:00` (without an offset: UTC), or versions of some tables
            such as `influence=3,queries=2`; None: now.

    Raises:
        LakeError: `as_of` is neither, or a table has no such version.
    """
    lake, versions = Lake(root), _versions(as_of)
    return {table: lake.files(table, versions.get(table)) for table in tables}


def connect_files(root: Path | str, files: dict[str, list[str]]) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with a view per table over the named files, and the macros."""
    connection, location = duckdb.connect(), Location.of(root)
    location.open_to(connection)
    connection.execute("SET TimeZone = 'UTC'")
    for table, paths in files.items():
        connection.execute(_view(location, table, paths))
    create_macros(connection, Lake(root), files)
    return connection


def document(connection: duckdb.DuckDBPyConnection) -> None:
    """Attach the meaning of every table and column as comments, for those who explore with `duckdb_columns()`.

    Takes as long as making the connection, so code that knows its tables does without.
    """
    for table in SCHEMAS:
        for comment in comments(table, "VIEW"):
            connection.execute(comment)


def comments(table: str, kind: str) -> list[str]:
    """Statements that document a table, as a VIEW or a TABLE, and its columns."""
    schema = SCHEMAS[table]
    columns = [f'COMMENT ON COLUMN "{table}"."{field.name}" IS {literal(doc_of(field))}' for field in schema]
    return [f'COMMENT ON {kind} "{table}" IS {literal(doc_of(schema))}', *columns]


def literal(text: str) -> str:
    """`text` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: list[str]) -> str:
    """`texts` as a SQL list of string literals."""
    return f"[{', '.join(literal(text) for text in texts)}]"


def _view(location: Location, table: str, paths: list[str]) -> str:
    """The table in its newest schema. Columns that a file's version lacks are empty."""
    groups: dict[frozenset[str], list[str]] = {}
    for path in paths:
        groups.setdefault(_columns(location, table, path), []).append(path)
    parts = [
        f"SELECT {_select(table, known)} FROM read_parquet({literals(chosen)}, hive_partitioning = false)"
        for known, chosen in groups.items()
    ]
    empty = f"SELECT {_select(table, frozenset())} WHERE false"
    return f'CREATE VIEW "{table}" AS {" UNION ALL ".join(parts) or empty}'


def _select(table: str, known: frozenset[str]) -> str:
    return ", ".join(
        f'"{field.name}"' if field.name in known else f'CAST(NULL AS {SQL_TYPES[field.type]}) AS "{field.name}"'
        for field in schema_of(table)
    )


def _columns(location: Location, table: str, path: str) -> frozenset[str]:
    named = NAME.fullmatch(path.rpartition("/")[2])
    if named is not None:
        return frozenset(columns_at(table, int(named[1] or 1)))
    with location.open(path.removeprefix(f"{location.uri}/")) as file:  # another program compacted the table
        return frozenset(pq.read_schema(file).names)


def _versions(as_of: str | None) -> dict[str, int | datetime]:
    if as_of is None:
        return {}
    pairs = [pair for part in as_of.split(",") if (pair := re.fullmatch(r"\s*(\w+)=(\d+)\s*", part))]
    if len(pairs) == as_of.count(",") + 1:
        for pair in pairs:
            schema_of(pair[1])
        return {pair[1]: int(pair[2]) for pair in pairs}
    try:
        moment = datetime.fromisoformat(as_of if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", as_of) else "no day")
    except ValueError:
        raise LakeError(
            f"{as_of!r} is neither a moment such as 2026-10-31T12:00:00+00:00 nor versions such as "
            "influence=3,queries=2."
        ) from None
    return dict.fromkeys(SCHEMAS, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
