"""What goes to the lake next: whole chunks of uses, sealed under a number before any of them is committed."""

import sqlite3
import threading
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tribute_storage.outbox.database import explained, transaction
from tribute_storage.outbox.readings import Readings
from tribute_storage.outbox.uses import from_bytes


class Sealed(NamedTuple):
    """A batch whose uses stay as they are, so that after a crash it is committed under the same run ids."""

    number: int
    uses: pa.Table


class Batches:
    """The batches of an outbox, one at a time."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, lock: threading.RLock, readings: Readings
    ) -> None:
        self._connection, self._path, self._lock, self._readings = connection, path, lock, readings

    def newest(self) -> int:
        """The number of the chunk that was recorded last; 0: there is none. Later ones have larger numbers."""
        with self._lock, explained(self._path):
            rows = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").fetchall()
        return int(rows[0][0]) if rows else 0

    def seal(self, most_uses: int, most_bytes: int, until: int) -> Sealed | None:
        """The batch that was begun, or else the oldest chunks that wait for no read-out; None: there are none.

        Args:
            most_uses, most_bytes: of a batch, except that a chunk is never cut.
            until: the last chunk that may be taken; see `newest`.
        """
        with self._lock:
            begun = self._begun()
            if begun is None:
                with transaction(self._connection, self._path) as connection:
                    begun = _seal(connection, most_uses, most_bytes, until)
            if begun is None:
                return None
            with explained(self._path):
                rows = self._connection.execute(
                    "SELECT arrow FROM chunks WHERE batch = ? ORDER BY chunk", [begun]
                ).fetchall()
        tables = [self._readings.joined(from_bytes(content)) for (content,) in rows]
        return Sealed(begun, pa.concat_tables(tables).combine_chunks())

    def finish(self, number: int) -> None:
        """Forget the uses of a batch, which the lake holds now; their ids stay known."""
        with self._lock, transaction(self._connection, self._path) as connection:
            connection.execute(
                "DELETE FROM readings WHERE chunk IN (SELECT chunk FROM chunks WHERE batch = ?)", [number]
            )
            connection.execute("DELETE FROM chunks WHERE batch = ?", [number])

    def waiting(self) -> int:
        """Uses that are not in the lake yet."""
        return self._sum("SELECT coalesce(sum(uses), 0) FROM chunks")

    def ready(self) -> int:
        """Uses that could go to the lake now: nothing in their chunks waits for a read-out."""
        return self._sum("SELECT coalesce(sum(uses), 0) FROM chunks WHERE unread = 0")

    def _sum(self, query: str) -> int:
        with self._lock, explained(self._path):
            [(number,)] = self._connection.execute(query).fetchall()
        return int(number)

    def _begun(self) -> int | None:
        with explained(self._path):
            row = self._connection.execute("SELECT min(batch) FROM chunks WHERE batch IS NOT NULL").fetchone()
        return row[0] if row else None


def _seal(connection: sqlite3.Connection, most_uses: int, most_bytes: int, until: int) -> int | None:
    chosen, uses, size = list[int](), 0, 0
    for chunk, count, length in connection.execute(
        "SELECT chunk, uses, bytes FROM chunks WHERE batch IS NULL AND unread = 0 AND chunk <= ? ORDER BY chunk",
        [until],
    ):
        if chosen and (uses + count > most_uses or size + length > most_bytes):
            break
        chosen.append(chunk)
        uses, size = uses + count, size + length
    if not chosen:
        return None
    connection.executemany("UPDATE chunks SET batch = ? WHERE chunk = ?", [(chosen[0], chunk) for chunk in chosen])
    return chosen[0]
