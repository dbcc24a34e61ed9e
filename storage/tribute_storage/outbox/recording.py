"""Records one submission in a transaction: what is new of it, and what contradicts what is known.

Whatever is refused is refused before anything of it is written.
"""

import sqlite3
import time
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from tribute_storage.errors import LakeUnavailable
from tribute_storage.outbox.uses import ContentConflict, Recorded, Submission, reply_body, to_bytes, with_periods


class WrongSimulation(LakeUnavailable):
    """Another simulation than the outbox's attributed a use. Nothing of the submission was recorded."""


def record(connection: sqlite3.Connection, submission: Submission, *, keeps_contents: bool) -> Recorded:
    """Record the uses that are new, and the reply.

    Args:
        keeps_contents: whether contents are kept even where no exact read-out waits for them.

    Raises:
        ContentConflict: an id, or the idempotency key, stands for something else.
    """
    uses, reply = submission
    if reply is not None and (body := known_reply(connection, reply.key, reply.body_sha256)) is not None:
        return Recorded(0, body)
    fresh, periods = compared(connection, uses)
    if fresh:
        _insert(connection, uses.take(fresh), keeps_contents)
    if reply is None:
        return Recorded(len(fresh), None, periods)
    recorded = len(fresh) if reply.recorded is None else reply.recorded
    head = with_periods(reply.head, periods)
    connection.execute(
        "INSERT INTO replies VALUES (?, ?, ?, ?, ?)",
        [reply.key, reply.body_sha256, head, recorded, int(time.time())],
    )
    return Recorded(len(fresh), reply_body(head, recorded))


def known_reply(connection: sqlite3.Connection, key: str, body_sha256: str) -> bytes | None:
    """The answer that was given under an idempotency key; None: it is new.

    Raises:
        ContentConflict: the key came with another request.
    """
    row = connection.execute("SELECT body_sha256, head, recorded FROM replies WHERE key = ?", [key]).fetchone()
    if row is None:
        return None
    if row[0] != body_sha256:
        raise ContentConflict(
            "This Idempotency-Key came before with another request. Use a new key for every request, and the same "
            "one only to send a request again"
        )
    return reply_body(row[1], row[2])


def require_run(uses: pa.Table, simulate_run: str) -> None:
    """Check that uses were attributed by a simulation; raises `WrongSimulation`."""
    others = {*uses["simulate_run"].to_pylist()} - {simulate_run}
    if others:
        raise WrongSimulation(
            f"These uses were attributed by {min(others)}, and the outbox is of {simulate_run}: a file or setting "
            "changed while the service runs. Put it back, or start the service again"
        )


def compared(connection: sqlite3.Connection, uses: pa.Table) -> tuple[list[int], dict[str, str]]:
    """Which uses are new, and the months of those without a time that were recorded in another month.

    Raises:
        ContentConflict: an id stands for another use, here or in the same submission.
    """
    fresh, periods, same = list[int](), dict[str, str](), dict[str, tuple[str, str]]()
    columns = [uses[name].to_pylist() for name in ("query_id", "content_sha256", "period", "dated")]
    for index, (query_id, sha256, period, dated) in enumerate(zip(*columns, strict=True)):
        known = same.get(query_id) or connection.execute(_USE, [query_id]).fetchone()
        if known is None:
            same[query_id] = sha256, period
            fresh.append(index)
        elif known[0] != sha256:
            raise ContentConflict(f"Query {query_id[:80]!r} was recorded with other content. Give it a new id")
        elif known[1] != period:
            if dated:
                raise ContentConflict(
                    f"Query {query_id[:80]!r} was recorded before as a use of {known[1]}, and this one is of "
                    f"{period}. Give every use of the model an id of its own"
                )
            periods[query_id] = known[1]
    return fresh, periods


_USE = "SELECT content_sha256, period FROM uses WHERE query_id = ?"


def _insert(connection: sqlite3.Connection, uses: pa.Table, keeps_contents: bool) -> None:
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
        [(name, text, now) for name, text in contents if text and (keeps_contents or name in needed)],
    )
    weights = Counter[str]()
    for period, weight in zip(periods, uses["weight"].to_pylist(), strict=True):
        weights[period] += weight
    connection.executemany(
        "INSERT INTO counts VALUES (?, ?) ON CONFLICT (period) DO UPDATE SET uses = uses + excluded.uses",
        weights.items(),
    )
