"""Batches are whole chunks, the same again after a crash; uses that wait for a read-out wait here."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.storage.outbox.uses import EXACT, RUN, Use, submission
from tribute_storage.outbox import Outbox, Sealed
from tribute_storage.outbox import readings as outbox_readings
from tribute_storage.outbox.readings import Reading

ANY = 10**6


def ids(sealed: Sealed | None) -> list[str]:
    """Ids of the uses of a batch."""
    assert sealed is not None
    found: list[str] = sealed.uses["query_id"].to_pylist()
    return found


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox-0.sqlite", RUN)


def reopened(outbox: Outbox) -> Outbox:
    """The outbox as another process finds it."""
    return Outbox(outbox.path, RUN)


def test_a_batch_holds_at_most_so_many_uses_in_whole_chunks(outbox: Outbox) -> None:
    for name in "abcd":
        outbox.record([submission([Use(f"{name}{number}") for number in range(3)])])
    first = outbox.batches.seal(7, ANY, ANY)
    assert ids(first) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert first is not None
    outbox.batches.finish(first.number)
    second = outbox.batches.seal(1, ANY, ANY)  # a chunk is never cut
    assert ids(second) == ["c0", "c1", "c2"]
    assert outbox.batches.waiting() == 6
    assert second is not None
    outbox.batches.finish(second.number)
    assert ids(outbox.batches.seal(ANY, 1, ANY)) == ["d0", "d1", "d2"]


def test_a_batch_is_the_same_after_a_crash_whatever_came_since(outbox: Outbox) -> None:
    outbox.record([submission([Use("a")]), submission([Use("b")])])
    before = outbox.batches.seal(ANY, ANY, ANY)
    outbox.record([submission([Use("c")])])
    after = reopened(outbox)
    again = after.batches.seal(1, 1, 0)
    assert before == again
    assert ids(again) == ["a", "b"]
    assert again is not None
    after.batches.finish(again.number)
    assert ids(after.batches.seal(ANY, ANY, ANY)) == ["c"]


def test_what_is_recorded_during_a_flush_is_of_the_next(outbox: Outbox) -> None:
    assert outbox.batches.newest() == 0
    outbox.record([submission([Use("a")])])
    until = outbox.batches.newest()
    outbox.record([submission([Use("b")])])
    sealed = outbox.batches.seal(ANY, ANY, until)
    assert ids(sealed) == ["a"]
    assert sealed is not None
    outbox.batches.finish(sealed.number)
    assert outbox.batches.seal(ANY, ANY, until) is None
    outbox.record([submission([Use("c")])])  # numbers are never used again
    assert outbox.batches.newest() == 3


def test_a_chunk_waits_until_all_its_sampled_uses_are_read_out(outbox: Outbox) -> None:
    outbox.record([submission([Use("a", unread=True), Use("b", unread=True), Use("c")]), submission([Use("d")])])
    assert (outbox.readings.waiting(), outbox.readings.oldest(), outbox.batches.ready()) == (2, 1, 1)
    first = outbox.batches.seal(ANY, ANY, ANY)
    assert ids(first) == ["d"]
    assert first is not None
    outbox.batches.finish(first.number)
    outbox.readings.complete([Reading("a", EXACT, None)])
    assert outbox.batches.seal(ANY, ANY, ANY) is None
    outbox.readings.complete([Reading("b", EXACT, np.ones(3, np.float32).tobytes())])
    assert (outbox.readings.waiting(), outbox.readings.oldest()) == (0, None)
    sealed = reopened(outbox).batches.seal(ANY, ANY, ANY)
    assert sealed is not None
    rows = {row["query_id"]: row for row in sealed.uses.to_pylist()}
    assert {name: row["influence_nats"] for name, row in rows.items()} == {"a": EXACT, "b": EXACT, "c": EXACT}
    assert (rows["a"]["error_nats"], rows["b"]["error_nats"]) == (None, np.ones(3, np.float32).tobytes())


def test_a_read_out_that_comes_twice_counts_once(outbox: Outbox) -> None:
    outbox.record([submission([Use("a", unread=True)]), submission([Use("b", unread=True)])])
    for _ in range(2):
        outbox.readings.complete([Reading("a", EXACT, None)])
    outbox.readings.complete([Reading("a", b"\0" * 24, None), Reading("never", EXACT, None)])
    assert outbox.readings.waiting() == 1
    sealed = outbox.batches.seal(ANY, ANY, ANY)
    assert sealed is not None
    assert sealed.uses["influence_nats"].to_pylist() == [EXACT]


def test_a_content_is_deleted_once_it_is_read_out(outbox: Outbox) -> None:
    outbox.record([submission([Use("a", unread=True)])])
    outbox.forget()
    assert outbox.content("a") == "content"
    outbox.readings.complete([Reading("a", EXACT, None)])
    assert outbox.content("a") is None


def test_two_readers_are_given_different_uses_until_one_does_not_come_back(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.record([submission([Use(name, unread=True)]) for name in "abcd"])
    assert outbox.readings.lease(2) == [("a", "content"), ("b", "content")]
    assert outbox.readings.lease(9) == [("c", "content"), ("d", "content")]
    assert outbox.readings.lease(9) == []
    assert len(reopened(outbox).readings.lease(9)) == 4  # another process knows of no lease
    monkeypatch.setattr(outbox_readings, "LEASE_S", -1.0)
    outbox.record([submission([Use("e", unread=True)])])
    assert outbox.readings.lease(9) == outbox.readings.lease(9) == [("e", "content")]
