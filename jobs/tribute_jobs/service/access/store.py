"""The file of keys, sessions and accesses: SQLite in WAL mode, which only its owner can read."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from tribute.config import Project
from tribute.errors import AGAIN, BusyError, ConfigError, DamagedFile, MachineError
from tribute_jobs.faults import machine_error

FOLDER, NAME = "service", "access.sqlite"
VERSION = 1
PATIENCE_S = 10
"""How long a writer waits for another one."""
_TABLES = """
create table keys (
    prefix text primary key, digest text not null, name text not null, role text not null, publisher_id text,
    requests_per_minute integer, queries_per_minute integer,
    created text not null, revoked text, last_used text
) strict;
create table sessions (digest text primary key, prefix text not null, expires text not null) strict;
create table accesses (
    id integer primary key autoincrement, time text not null, key_id text not null, name text not null,
    role text not null, method text not null, route text not null, asked text not null,
    publisher_id text not null, period text not null, statement_id text not null,
    status integer not null, client text not null
) strict;
create trigger accesses_stay before delete on accesses
begin select raise(abort, 'accesses are never deleted'); end;
create trigger accesses_are_fixed before update on accesses
begin select raise(abort, 'accesses are never changed'); end;
"""


class AccessFile:
    """The open file, which is made if it is not there. Threads that write take turns, and so do those that read.

    Several processes may have it open on one machine. WAL mode needs memory that they share, so the file must not
    lie on a network file system.

    Raises:
        MachineError: the disk or the folder refuses.
        DamagedFile: it is no whole SQLite database.
        ConfigError: a later release wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._writing, self._reading = path, Lock(), Lock()
        try:
            _make_private(path)
        except OSError as error:
            raise MachineError(f"{path} cannot be made: {error.strerror}. Mend that, {AGAIN}") from error
        with self._translated():
            self._writer, self._reader = _connected(path), _connected(path)
        with self.transaction() as connection:
            [(version,)] = connection.execute("pragma user_version")
            if version == 0:
                for statement in _statements(_TABLES):
                    connection.execute(statement)
                connection.execute(f"pragma user_version = {VERSION}")
        if version > VERSION:
            raise ConfigError(f"{path} has format {version}, this release reads {VERSION}. Update tribute")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Statements that take effect together, or not at all."""
        with self._writing, self._translated():
            self._writer.execute("begin immediate")
            try:
                yield self._writer
                self._writer.execute("commit")
            except BaseException:
                if self._writer.in_transaction:  # a full disk ends it
                    self._writer.execute("rollback")
                raise

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """The rows of a query. It waits for no writer."""
        with self._reading, self._translated():
            cursor = self._reader.execute(query, values)
            cursor.row_factory = sqlite3.Row
            return cursor.fetchall()

    def close(self) -> None:
        """Close it."""
        self._reader.close()
        self._writer.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of SQLite in words that name the remedy."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise BusyError(f"{self.path} is in use by another process. Run the same command again") from error
            refused = machine_error(error)
            raise refused or MachineError(f"{self.path} cannot be used: {error}. Mend that, {AGAIN}") from error
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise DamagedFile(
                f"{self.path} is no whole SQLite database: {error}. Put it back from a backup, or move it away "
                "and make new keys: tribute keys create PROJECT.yaml"
            ) from error


def access_path(project: Project) -> Path:
    """The file of a project, whether it is there or not."""
    return project.workdir / FOLDER / NAME


def moment_text(moment: datetime | None = None) -> str:
    """A moment, or this one, as text that sorts by time."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None, check_same_thread=False)
    # An access that was answered stays recorded, even if the power fails: synchronous = full.
    connection.executescript("pragma journal_mode = wal; pragma synchronous = full")
    return connection


def _make_private(path: Path) -> None:
    """Make the file and its folder such that only their owner can open them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.stat().st_mode & 0o077:
        path.parent.chmod(0o700)
    # SQLite gives the files that it makes beside a database the mode of the database.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, since `executescript` would commit before it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
