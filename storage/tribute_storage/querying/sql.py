"""Untrusted SQL over the lake: one read-only statement, with resource limits, in a separate process."""

from pathlib import Path

import duckdb
import pyarrow as pa

from tribute_storage.location import Location
from tribute_storage.log import TableLog
from tribute_storage.querying.literals import literals
from tribute_storage.querying.sandbox import Limits, ReadingFailed, fence, run
from tribute_storage.querying.views import committed_files, connect_files, document
from tribute_storage.schemas import SCHEMAS
from tribute_storage.upkeep.examination import explanation

DEFAULTS = Limits()


def query(root: Path | str, sql: str, *, limits: Limits = DEFAULTS, as_of: str | None = None) -> pa.Table:
    """The answer to `sql` over the committed tables of the lake under `root`.

    Three fences: a process of its own with the kernel's limits of time, memory and changes to files (`sandbox`);
    a statement that only reads (`reading_only`); and a connection that opens no file but the committed ones,
    loads no extension, sees no Python variable and cannot change its settings.

    Args:
        limits: what the query may take.
        as_of: see `views.committed_files`; None: now.

    Raises:
        LakeDamaged: a file of the lake is missing, cut, or not what was written.
        LakeError: the statement is refused or fails, with DuckDB's own message, or it was stopped at a limit.
    """
    place = Location.of(root).uri
    files = committed_files(place) if as_of is None else committed_files(place, as_of)
    # The macro as_of reads older versions. Their files are allowed when it may be called, not for every query.
    older = _older_files(place) if "as_of" in sql.lower() else []
    try:
        return run(open_lake, [place, files, older], sql, limits)
    except ReadingFailed as error:
        problem = explanation(place, list(SCHEMAS), error)
        if problem is None:
            raise
        raise problem from error


def open_lake(
    root: str, files: dict[str, list[str]], older: list[str], limits: Limits
) -> duckdb.DuckDBPyConnection:
    """The connection of `views.connect` over `files`; it can read nothing but those and `older`."""
    connection = connect_files(root, files)
    document(connection)
    allowed = [path for paths in files.values() for path in paths] + older
    fence(connection, {"allowed_paths": literals(allowed)}, limits)
    return connection


def _older_files(root: str) -> list[str]:
    place = Location.of(root)
    return [place.path(f"{table}/{name}") for table in SCHEMAS for name in sorted(TableLog(place, table).logged())]
