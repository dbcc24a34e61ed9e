"""One DuckDB view per table over its committed files."""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tribute_storage.errors import LakeError
from tribute_storage.lake import Lake
from tribute_storage.location import Location
from tribute_storage.querying.current import create_current, current_comments
from tribute_storage.querying.literals import literal, literals
from tribute_storage.querying.macros import MACROS, RUNS, create_functions, create_macros
from tribute_storage.schemas import SCHEMAS, SQL_TYPES, columns_at, doc_of, schema_of
from tribute_storage.staging import NAME
from tribute_storage.upkeep.examination import explained


def connect(root: Path | str, as_of: str | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection for analysts: what is current, everything that ever was, and the macros.

    The names of the tables are views of what is current (`current`); the tables themselves stand in the schema
    `history`. Each view reads the files that were committed when the connection was made, so its answers do not
    change while others write. A table without rows is an empty relation with the same columns. The connection is
    for code one trusts; other people's SQL goes through `sql.query`.

    Args:
        as_of: see `committed_files`.
    """
    files = committed_files(root, as_of)
    with explained(str(root), list(files)):
        connection = connect_files(root, files)
    _spill(connection)
    return connection


REVERSIBLE = {
    "statements": "reversed_run",
    "statement_lines": "reversed_run",
    "settled_files": "reversed_run",
    "bundles": "reversed_bundle",
}
"""Tables whose runs a row of `reversals` makes void, and the column that names the run."""


def open_tables(
    root: Path | str, *tables: str, as_of: str | None = None
) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB connection with the tables themselves, for code that names the runs that it reads.

    Rows of runs that were reversed are left out; `history` of `connect` has them.

    It is closed at the end of its `with`. What fails in there because of a file is raised as the lake's own error.

    Args:
        tables: only these, with `runs` and `usage` over them and the macro `as_of`. Opening a few takes a third of
            the time of opening all, so code that knows its tables names them. None named: all.
        as_of: see `committed_files`.

    Raises:
        LakeDamaged: a file of these tables is missing, cut, or not what was written.
        LakeUnavailable: the disk or the store refuses.
    """
    named = tables or tuple(SCHEMAS)
    if REVERSIBLE.keys() & set(named):
        named = tuple({*named, "reversals"})
    return _opened(root, committed_files(root, as_of, named))


@contextmanager
def _opened(root: Path | str, files: dict[str, list[str]]) -> Iterator[duckdb.DuckDBPyConnection]:
    with explained(str(root), list(files)), open_files(root, files) as connection:
        for table in REVERSIBLE.keys() & files.keys() if files.get("reversals") else ():
            connection.execute(f'ALTER VIEW "{table}" RENAME TO "ever_{table}"')
            connection.execute(
                f'CREATE VIEW "{table}" AS SELECT t.* FROM "ever_{table}" t '
                f"ANTI JOIN reversals v ON v.{REVERSIBLE[table]} = t.run_id"
            )
        _spill(connection)
        yield connection


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
    """The connection of `connect` over the named files of every table."""
    connection = open_files(root, files, "history")
    create_current(connection, RUNS.format(table="{table}", schema="history"))
    create_macros(connection, MACROS)
    return connection


def open_files(root: Path | str, files: dict[str, list[str]], schema: str = "main") -> duckdb.DuckDBPyConnection:
    """The connection of `open_tables` over the named files, with the tables in `schema`."""
    connection, location = duckdb.connect(), Location.of(root)
    location.open_to(connection)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for table, paths in files.items():
        connection.execute(_view(location, f'{schema}."{table}"', table, paths))
    create_functions(connection, Lake(root), files, schema)
    return connection


def document(connection: duckdb.DuckDBPyConnection) -> None:
    """Attach the meaning of every table and column as comments, for those who explore with `duckdb_columns()`.

    Takes as long as making the connection, so code that knows its tables does without.
    """
    for table in SCHEMAS:
        for comment in (*current_comments(table), *comments(table, "VIEW")):
            connection.execute(comment)


def comments(table: str, kind: str) -> list[str]:
    """Statements that document a table in `history`, as a VIEW or a TABLE, and its columns."""
    schema, name = SCHEMAS[table], f'history."{table}"'
    columns = [f'COMMENT ON COLUMN {name}."{field.name}" IS {literal(doc_of(field))}' for field in schema]
    return [f"COMMENT ON {kind} {name} IS {literal(f'Every row ever. {doc_of(schema)}')}", *columns]


def _spill(connection: duckdb.DuckDBPyConnection) -> None:
    # DuckDB's own choice is a folder in whatever folder the user happens to be in.
    spilled = Path(tempfile.gettempdir(), f"tribute-{os.getuid()}")
    connection.execute(f"SET temp_directory = {literal(str(spilled))}")


def _view(location: Location, name: str, table: str, paths: list[str]) -> str:
    """The table in its newest schema. Columns that a file's version lacks are empty."""
    groups: dict[frozenset[str], list[str]] = {}
    for path in paths:
        groups.setdefault(_columns(location, table, path), []).append(path)
    parts = [
        f"SELECT {_select(table, known)} FROM read_parquet({literals(chosen)}, hive_partitioning = false)"
        for known, chosen in groups.items()
    ]
    empty = f"SELECT {_select(table, frozenset())} WHERE false"
    return f"CREATE VIEW {name} AS {' UNION ALL '.join(parts) or empty}"


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
