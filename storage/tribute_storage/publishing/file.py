"""One published file: its name, its tables, its comments, and how it takes its place."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from tribute_storage.errors import LakeError
from tribute_storage.file_names import file_stem
from tribute_storage.publishing.rows import reader_comments, rows_of
from tribute_storage.querying.current import create_current, current_comments
from tribute_storage.querying.literals import literal
from tribute_storage.querying.macros import MACROS, USAGE, VIEWS, create_macros
from tribute_storage.querying.views import comments
from tribute_storage.schemas import SCHEMAS

NO_RUNS = "CREATE TABLE file.main.runs AS FROM all_runs WHERE false"
PSEUDONYMS = (
    "CREATE TABLE file.main.published_queries AS SELECT DISTINCT query_id, published_id FROM asked ORDER BY ALL"
)
PSEUDONYMS_DOC = "By which id publishers know a query."


def file_name(publisher: str | None) -> str:
    """The name of a publisher's file, or of the operator's (None)."""
    return "operator.duckdb" if publisher is None else f"publisher-{file_stem(publisher)}.duckdb"


@contextmanager
def building_in(folder: Path) -> Iterator[Path]:
    """A private build folder for this process. Files that a killed process left there are deleted.

    Raises:
        LakeError: another process is building there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    building = folder / ".publishing"
    try:
        with FileLock(folder / ".publishing.lock", blocking=False):
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(mode=0o700)
            try:
                yield building
            finally:
                shutil.rmtree(building, ignore_errors=True)
    except Timeout:
        raise LakeError(
            f"Another tribute publish is writing to {folder}; wait for it, or choose another folder."
        ) from None


def build(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    reader: str | None,
    period: str | None,
    step: Callable[[], None],
) -> None:
    """Write a reader's file; `step` is called after every table."""
    connection.execute(f"ATTACH {literal(str(path))} AS file")
    connection.execute("BEGIN")  # one flush to disk, not one per statement
    connection.execute("CREATE SCHEMA file.history")
    connection.execute(NO_RUNS)
    for table in SCHEMAS:
        connection.execute(f'CREATE TABLE file.history."{table}" AS {rows_of(table, reader, period)}')
        connection.execute(
            f"INSERT INTO file.main.runs FROM all_runs WHERE table_name = '{table}' "
            f'AND run_id IN (SELECT DISTINCT run_id FROM file.history."{table}") ORDER BY ALL'
        )
        step()
    if reader is None:
        connection.execute(PSEUDONYMS)
    connection.execute("COMMIT")
    connection.execute("DETACH file")
    with duckdb.connect(path) as alone:  # views and macros mean the tables of the only database there is
        alone.execute("BEGIN")
        _describe(alone, reader)
        alone.execute("COMMIT")
        alone.execute("CHECKPOINT")


def install(temporary: Path, target: Path) -> None:
    """Make a file read-only and move it durably to its name, replacing an older one.

    Only the operator can read the operator's file, because it names customers.
    """
    temporary.chmod(0o400 if target.name == file_name(None) else 0o444)
    _flush(temporary)
    temporary.replace(target)
    _flush(target.parent)


def _describe(connection: duckdb.DuckDBPyConnection, reader: str | None) -> None:
    documented = {"TABLE runs": VIEWS["runs"]}
    if reader is None:
        connection.execute(f"CREATE VIEW usage AS {USAGE.format(schema='history')}")
        documented |= {"VIEW usage": VIEWS["usage"], "TABLE published_queries": PSEUDONYMS_DOC}
    create_current(connection, "FROM runs WHERE table_name = '{table}'")
    for table in SCHEMAS:
        for comment in (*current_comments(table), *comments(table, "TABLE"), *reader_comments(table, reader)):
            connection.execute(comment)
    for name, doc in documented.items():
        connection.execute(f"COMMENT ON {name} IS {literal(doc)}")
    create_macros(connection, MACROS)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
