"""The SQLite file of an outbox: its tables, and the errors of its disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tribute_storage.errors import LakeDamaged, LakeError, LakeUnavailable

VERSION = 1
TABLES = """
CREATE TABLE IF NOT EXISTS about (simulate_run TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS uses (
    query_id TEXT PRIMARY KEY, content_sha256 TEXT NOT NULL, period TEXT NOT NULL, chunk INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    chunk INTEGER PRIMARY KEY AUTOINCREMENT, uses INTEGER NOT NULL, bytes INTEGER NOT NULL,
    unread INTEGER NOT NULL, batch INTEGER, arrow BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS chunks_by_batch ON chunks (batch);
CREATE TABLE IF NOT EXISTS readings (
    query_id TEXT PRIMARY KEY, chunk INTEGER NOT NULL, influence BLOB, error BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS readings_by_chunk ON readings (chunk);
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, body_sha256 TEXT NOT NULL, head BLOB NOT NULL, recorded INTEGER NOT NULL,
    made_s INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS replies_by_age ON replies (made_s);
CREATE TABLE IF NOT EXISTS counts (period TEXT PRIMARY KEY, uses REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (
    query_id TEXT PRIMARY KEY, content_json TEXT NOT NULL, made_s INTEGER NOT NULL
) WITHOUT ROWID;
"""


def open_database(path: Path) -> sqlite3.Connection:
    """Open or make the file. Every commit is on disk when it returns: WAL, `synchronous` FULL.

    One thread at a time may use the connection.

    Raises:
        LakeUnavailable: the disk refuses.
        LakeDamaged: the file is no outbox, or is damaged.
        LakeError: a later release wrote it.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        _require_known(connection, path)
        connection.executescript(TABLES)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection


def uses_waiting(path: Path, period: str | None = None) -> int:
    """Number of uses that wait in an outbox, whoever has it open; nothing is written.

    Args:
        period: the month whose uses are counted; None: all.

    Raises:
        LakeUnavailable, LakeDamaged, LakeError: see `open_database`.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    with explained(path), closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
        _require_known(connection, path)
        [(made,)] = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'chunks'").fetchall()
        if not made:  # the service was killed as it made the file
            return 0
        [(waiting,)] = connection.execute("SELECT coalesce(sum(uses), 0) FROM chunks").fetchall()
        if waiting and period is not None:
            [(waiting,)] = connection.execute(
                "SELECT count(*) FROM uses WHERE period = ? AND chunk IN (SELECT chunk FROM chunks)", [period]
            ).fetchall()
    return int(waiting)


def _require_known(connection: sqlite3.Connection, path: Path) -> None:
    [(version,)] = connection.execute("PRAGMA user_version").fetchall()
    if version > VERSION:
        raise LakeError(f"{path} was written by a later release of tribute. Serve it with that release")


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction that is on disk after the block, or leaves no trace; raises what `explained` raises."""
    with explained(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the disk as errors of the lake, with their remedy."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise LakeUnavailable(
                f"The outbox {path} cannot be used: {error}. Make room on its disk, and let the service write "
                "there; nothing that was acknowledged is lost"
            ) from error
        raise LakeDamaged(
            f"The outbox {path} is damaged: {error}. Stop the service, move the file aside, and restore it from a "
            "copy; uses that are in the lake already are not lost"
        ) from error
    except OSError as error:
        raise LakeUnavailable(
            f"The outbox {path} cannot be used: {error.strerror or error}. Make its folder writable"
        ) from error
