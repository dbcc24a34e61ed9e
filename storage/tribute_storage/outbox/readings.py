"""Exact read-outs that sampled uses wait for: handed out, taken back when they are done."""

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tribute_storage.outbox.database import explained, transaction

LEASE_S = 120.0
"""How long one who was handed a use has before it is handed out again."""


class Reading(NamedTuple):
    """The exact read-out of a use: float32 bytes, as in `USE`."""

    query_id: str
    influence_nats: bytes
    error_nats: bytes | None


class Readings:
    """The exact read-outs of an outbox. Uses wait in it until theirs is there."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, lock: threading.RLock, *, keeps_contents: bool
    ) -> None:
        self._connection, self._path, self._lock, self._keeps = connection, path, lock, keeps_contents
        self._leased = dict[str, float]()

    def lease(self, most: int) -> list[tuple[str, str]]:
        """Ids and contents (JSON) of uses to read out, the oldest first, which nobody else is at."""
        now = time.monotonic()
        with self._lock, explained(self._path):
            self._leased = {name: until for name, until in self._leased.items() if until > now}
            rows = self._connection.execute(
                "SELECT query_id, content_json FROM readings JOIN contents USING (query_id) "
                "WHERE influence IS NULL ORDER BY chunk LIMIT ?",
                [most + len(self._leased)],
            ).fetchall()
            free = [(name, content) for name, content in rows if name not in self._leased][:most]
            self._leased |= {name: now + LEASE_S for name, _ in free}
        return free

    def complete(self, readings: Sequence[Reading]) -> None:
        """Take read-outs. One that is there already stays as it is."""
        with self._lock, transaction(self._connection, self._path) as connection:
            for reading in readings:
                done = connection.execute(
                    "UPDATE readings SET influence = ?, error = ? WHERE query_id = ? AND influence IS NULL",
                    [reading.influence_nats, reading.error_nats, reading.query_id],
                ).rowcount
                if done:
                    connection.execute(
                        "UPDATE chunks SET unread = unread - 1 "
                        "WHERE chunk = (SELECT chunk FROM readings WHERE query_id = ?)",
                        [reading.query_id],
                    )
                    if not self._keeps:
                        connection.execute("DELETE FROM contents WHERE query_id = ?", [reading.query_id])
        for reading in readings:
            self._leased.pop(reading.query_id, None)

    def waiting(self) -> int:
        """Uses whose read-out is still to come."""
        with self._lock, explained(self._path):
            [(number,)] = self._connection.execute("SELECT coalesce(sum(unread), 0) FROM chunks").fetchall()
        return int(number)

    def oldest(self) -> int | None:
        """The first chunk with a use whose read-out is still to come; None: there is none."""
        with self._lock, explained(self._path):
            [(chunk,)] = self._connection.execute("SELECT min(chunk) FROM chunks WHERE unread > 0").fetchall()
        return None if chunk is None else int(chunk)

    def joined(self, uses: pa.Table) -> pa.Table:
        """Uses with the read-outs that have come meanwhile."""
        with self._lock, explained(self._path):
            found = {}
            for query_id in uses.filter(uses["sampled"])["query_id"].to_pylist():
                row = self._connection.execute(
                    "SELECT influence, error FROM readings WHERE query_id = ? AND influence IS NOT NULL",
                    [query_id],
                ).fetchone()
                if row is not None:
                    found[query_id] = row
        if not found:
            return uses
        ids = uses["query_id"].to_pylist()
        for position, name in enumerate(("influence_nats", "error_nats")):
            before = uses[name].to_pylist()
            values = [found[key][position] if key in found else old for key, old in zip(ids, before, strict=True)]
            uses = uses.set_column(uses.schema.get_field_index(name), name, pa.array(values, pa.binary()))
        return uses
