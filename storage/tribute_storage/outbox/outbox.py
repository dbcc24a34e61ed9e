"""Records uses durably, each id once; many submissions share one commit to disk."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tribute_storage.outbox.batches import Batches
from tribute_storage.outbox.database import explained, open_database, transaction
from tribute_storage.outbox.readings import Readings
from tribute_storage.outbox.uses import ContentConflict, Recorded, Submission, from_bytes, reply_body, to_bytes

REPLIES_KEPT_S = 86_400
"""How long a reply is given again under its idempotency key."""


class Outbox:
    """Uses of the model on the way to the lake, in one SQLite file. Threads take turns.

    Attributes:
        batches: what goes to the lake next.
        readings: exact read-outs that sampled uses still wait for.

    Args:
        path: the file, made if it is not there.
        contents_kept_s: how long the content of a use is kept for people to look at; 0: not at all.
    """

    def __init__(self, path: Path, contents_kept_s: float = 0.0) -> None:
        self.path, self._lock, self._kept_s = path, threading.RLock(), contents_kept_s
        self._connection = open_database(path)
        self.readings = Readings(self._connection, path, self._lock, keeps_contents=contents_kept_s > 0)
        self.batches = Batches(self._connection, path, self._lock, self.readings)

    def record(self, submissions: Sequence[Submission]) -> list[Recorded | ContentConflict]:
        """Record submissions in one transaction, which is on disk when this returns.

        A use whose id is known is not recorded again. A submission with an id that stands for another use, or
        with an idempotency key of another request, is refused as a whole; the others are not.

        Raises:
            LakeUnavailable: the disk refuses; nothing was recorded.
        """
        with self._lock, transaction(self._connection, self.path) as connection:
            found: list[Recorded | ContentConflict] = []
            for submission in submissions:
                try:
                    found.append(self._one(connection, submission))
                except ContentConflict as conflict:
                    found.append(conflict)
            return found

    def reply(self, key: str, body_sha256: str) -> bytes | None:
        """The answer that was given under an idempotency key; None: it is new.

        Raises:
            ContentConflict: the key came with another request.
        """
        with self._lock, explained(self.path):
            return _reply(self._connection, key, body_sha256)

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

    def period_of(self, query_id: str) -> str | None:
        """The month that a recorded use belongs to, in the lake or not yet; None: it was never recorded here."""
        with self._lock, explained(self.path):
            row = self._connection.execute("SELECT period FROM uses WHERE query_id = ?", [query_id]).fetchone()
        return row[0] if row else None

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

    def _one(self, connection: sqlite3.Connection, submission: Submission) -> Recorded:
        uses, reply = submission
        if reply is not None and (body := _reply(connection, reply.key, reply.body_sha256)) is not None:
            return Recorded(0, body)
        fresh = [index for index, known in enumerate(_known(connection, uses)) if not known]
        if fresh:
            self._insert(connection, uses.take(fresh))
        if reply is None:
            return Recorded(len(fresh))
        recorded = len(fresh) if reply.recorded is None else reply.recorded
        connection.execute(
            "INSERT INTO replies VALUES (?, ?, ?, ?, ?)",
            [reply.key, reply.body_sha256, reply.head, recorded, int(time.time())],
        )
        return Recorded(len(fresh), reply_body(reply.head, recorded))

    def _insert(self, connection: sqlite3.Connection, uses: pa.Table) -> None:
        ids, periods = uses["query_id"].to_pylist(), uses["period"].to_pylist()
        unread = uses.filter(pc.and_(uses["sampled"], pc.is_null(uses["influence_nats"])))["query_id"].to_pylist()
        arrow = to_bytes(uses.drop_columns(["content_json"]))
        chunk = connection.execute(
            "INSERT INTO chunks (uses, bytes, unread, arrow) VALUES (?, ?, ?, ?)",
            [len(ids), len(arrow), len(unread), arrow],
        ).lastrowid
        rows = zip(ids, uses["content_sha256"].to_pylist(), periods, strict=True)
        connection.executemany("INSERT INTO uses VALUES (?, ?, ?, ?)", [(*row, chunk) for row in rows])
        connection.executemany(
            "INSERT INTO readings (query_id, chunk) VALUES (?, ?)", [(query_id, chunk) for query_id in unread]
        )
        needed, now = {*unread}, int(time.time())
        contents = zip(ids, uses["content_json"].to_pylist(), strict=True)
        connection.executemany(
            "INSERT INTO contents VALUES (?, ?, ?)",
            [(name, text, now) for name, text in contents if text and (self._kept_s or name in needed)],
        )
        weights = Counter[str]()
        for period, weight in zip(periods, uses["weight"].to_pylist(), strict=True):
            weights[period] += weight
        for period, number in weights.items():
            connection.execute(
                "INSERT INTO counts VALUES (?, ?) ON CONFLICT (period) DO UPDATE SET uses = uses + excluded.uses",
                [period, number],
            )


_USE = "SELECT content_sha256, period FROM uses WHERE query_id = ?"


def _known(connection: sqlite3.Connection, uses: pa.Table) -> list[bool]:
    """Whether each use is recorded already.

    Raises:
        ContentConflict: its id is, for another use.
    """
    found = []
    columns = [uses[name].to_pylist() for name in ("query_id", "content_sha256", "period", "dated")]
    for query_id, sha256, period, dated in zip(*columns, strict=True):
        row = connection.execute(_USE, [query_id]).fetchone()
        if row is not None and row[0] != sha256:
            raise ContentConflict(f"Query {query_id[:80]!r} was recorded with other content. Give it a new id")
        if row is not None and dated and row[1] != period:
            raise ContentConflict(
                f"Query {query_id[:80]!r} was recorded before as a use of {row[1]}, and this one is of {period}. "
                "Give every use of the model an id of its own"
            )
        found.append(row is not None)
    return found


def _reply(connection: sqlite3.Connection, key: str, body_sha256: str) -> bytes | None:
    row = connection.execute("SELECT body_sha256, head, recorded FROM replies WHERE key = ?", [key]).fetchone()
    if row is None:
        return None
    if row[0] != body_sha256:
        raise ContentConflict(
            f"Idempotency-Key {key[:80]!r} came before with another request. Use a new key for every request, and "
            "the same one only to send a request again"
        )
    return reply_body(row[1], row[2])
