"""Records uses durably, each id once; many submissions share one commit to disk."""

import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tribute_storage.errors import LakeError, LakeUnavailable
from tribute_storage.outbox.batches import Batches
from tribute_storage.outbox.database import VERSION, explained, open_database, transaction
from tribute_storage.outbox.readings import Readings
from tribute_storage.outbox.recording import WrongSimulation, compared, known_reply, record, require_run
from tribute_storage.outbox.uses import ContentConflict, Recorded, Submission, from_bytes

LEAST_ROOM = 2**20
"""Bytes of disk without which uses are about to be refused."""
REPLIES_KEPT_S = 86_400
"""How long a reply is given again under its idempotency key."""


class Outbox:
    """Uses of the model on the way to the lake, in one SQLite file. Threads take turns.

    Attributes:
        batches: what goes to the lake next.
        readings: exact read-outs that sampled uses still wait for.

    An outbox is of one simulation. Opened for another one, it forgets what is in the lake.

    Args:
        path: the file, made if it is not there.
        simulate_run: the simulation that uses are attributed by.
        contents_kept_s: how long the content of a use is kept for people to look at; 0: not at all.

    Raises:
        LakeError: uses of another simulation wait in it.
        LakeUnavailable: the disk refuses.
        LakeDamaged: the file is no outbox, or is damaged.
    """

    def __init__(self, path: Path, simulate_run: str, contents_kept_s: float = 0.0) -> None:
        self.path, self._lock, self._kept_s = path, threading.RLock(), contents_kept_s
        self._connection, self._simulate_run = open_database(path), simulate_run
        self._devote()
        self.readings = Readings(self._connection, path, self._lock, keeps_contents=contents_kept_s > 0)
        self.batches = Batches(self._connection, path, self._lock, self.readings)

    def record(self, submissions: Sequence[Submission]) -> list[Recorded | LakeError]:
        """Record submissions in one transaction, which is on disk when this returns.

        A use whose id is known is not recorded again. A submission is refused as a whole, and no other one with
        it: by `ContentConflict` if an id stands for another use, or its idempotency key for another request; by
        `LakeUnavailable` if another simulation attributed it.

        Raises:
            LakeUnavailable: the disk refuses; nothing was recorded.
        """
        with self._lock, transaction(self._connection, self.path) as connection:
            found: list[Recorded | LakeError] = []
            for submission in submissions:
                try:
                    require_run(submission.uses, self._simulate_run)
                    found.append(record(connection, submission, keeps_contents=self._kept_s > 0))
                except (ContentConflict, WrongSimulation) as refused:
                    found.append(refused)
            return found

    def check(self, uses: pa.Table) -> None:
        """Check that uses could be recorded; nothing is.

        Raises:
            ContentConflict: an id stands for another use.
            LakeUnavailable: another simulation attributed them, or the disk refuses.
        """
        require_run(uses, self._simulate_run)
        with self._lock, explained(self.path):
            compared(self._connection, uses)

    def reply(self, key: str, body_sha256: str) -> bytes | None:
        """The answer that was given under an idempotency key; None: it is new.

        Raises:
            ContentConflict: the key came with another request.
        """
        with self._lock, explained(self.path):
            return known_reply(self._connection, key, body_sha256)

    def use(self, query_id: str) -> pa.Table | None:
        """A use that waits in the outbox, with its exact read-out once that is there, [1]; None: it does not."""
        with self._lock, explained(self.path):
            row = self._connection.execute(
                "SELECT c.arrow FROM uses u JOIN chunks c USING (chunk) WHERE u.query_id = ?", [query_id]
            ).fetchone()
            if row is None:
                return None
            uses = from_bytes(row[0])
            return self.readings.joined(uses.slice(uses["query_id"].to_pylist().index(query_id), 1))

    def content(self, query_id: str) -> str | None:
        """The content of a use, JSON, where it is kept."""
        with self._lock, explained(self.path):
            row = self._connection.execute(
                "SELECT content_json FROM contents WHERE query_id = ?", [query_id]
            ).fetchone()
        return row[0] if row else None

    def counted(self, period: str) -> float:
        """The sum of the weights of all uses that were ever recorded here in a month."""
        with self._lock, explained(self.path):
            row = self._connection.execute("SELECT uses FROM counts WHERE period = ?", [period]).fetchone()
        return float(row[0]) if row else 0.0

    def probe(self) -> None:
        """Write to the file, and change nothing in it.

        Raises:
            LakeUnavailable: the disk refuses, or has less than `LEAST_ROOM` left.
        """
        with explained(self.path):
            left = shutil.disk_usage(self.path.parent).free
        if left < LEAST_ROOM:
            raise LakeUnavailable(
                f"The outbox {self.path} has {left:,} bytes of room left, and needs {LEAST_ROOM:,}. Make room on "
                "its disk"
            )
        with self._lock, transaction(self._connection, self.path) as connection:
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def forget(self) -> None:
        """Delete replies and contents that were kept long enough."""
        now = time.time()
        with self._lock, transaction(self._connection, self.path) as connection:
            connection.execute("DELETE FROM replies WHERE made_s < ?", [int(now - REPLIES_KEPT_S)])
            connection.execute(
                "DELETE FROM contents WHERE made_s < ? AND query_id NOT IN "
                "(SELECT query_id FROM readings WHERE influence IS NULL)",
                [int(now - self._kept_s)],
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _devote(self) -> None:
        """Make the outbox one of the simulation."""
        with transaction(self._connection, self.path) as connection:
            [(waiting,)] = connection.execute("SELECT coalesce(sum(uses), 0) FROM chunks").fetchall()
            [(before,)] = connection.execute("SELECT max(simulate_run) FROM about").fetchall()
            if before == self._simulate_run:
                return
            if waiting:
                raise LakeError(
                    f"{waiting:,} uses in the outbox {self.path} were attributed by {before}, and the settings "
                    f"are now those of {self._simulate_run}. Put them back and start the service once more: it "
                    "brings them to the lake. Or move the file aside, and they are not counted"
                )
            for table in ("uses", "counts", "replies", "contents", "about"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("INSERT INTO about VALUES (?)", [self._simulate_run])
