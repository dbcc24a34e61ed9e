"""Opens a published DuckDB file for untrusted SQL."""

from pathlib import Path

import duckdb
import pyarrow as pa

from tribute_storage.errors import LakeError
from tribute_storage.querying.sandbox import Limits, fence, run

DEFAULTS = Limits()
ALONE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""Before the file is opened: DuckDB would load an extension for a file of another kind."""


def open_published(path: Path | str, limits: Limits = DEFAULTS) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the database file at `path` that can reach nothing else.

    It opens no other file, loads no extension, sees no Python variable, writes no temporary file and cannot
    change its settings. It has no limit of time, and only DuckDB's own of memory: see `query_published`.

    Raises:
        LakeError: the file is not there or is no DuckDB database.
    """
    if not Path(path).is_file():
        raise LakeError(f"There is no published file {path}; write it with: tribute publish.")
    try:
        connection = duckdb.connect(str(path), read_only=True, config=ALONE)
        connection.execute("SET TimeZone = 'UTC'")
        fence(connection, {}, limits)
    except duckdb.Error as error:
        raise LakeError(f"{path} cannot be opened as a DuckDB file: {error}") from error
    return connection


def query_published(path: Path | str, sql: str, limits: Limits = DEFAULTS) -> pa.Table:
    """The answer to `sql` over the published database file at `path`, within the limits.

    Raises:
        LakeError: as `open_published`; the statement is refused or fails, or it was stopped at a limit.
    """
    return run(open_published, [str(Path(path).absolute())], sql, limits)
