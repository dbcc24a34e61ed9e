"""The outbox records each use once, refuses contradictions as a whole, and gives replies again."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.storage.outbox.uses import RUN, Use, period_of, submission
from tribute_storage import LakeError
from tribute_storage.errors import LakeDamaged, LakeUnavailable
from tribute_storage.outbox import ContentConflict, KeyedReply, Outbox, Recorded, uses_waiting

ANY = 10**6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service" / "outbox-0.sqlite"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    opened = Outbox(path, RUN)
    yield opened
    opened.close()


def waiting_ids(outbox: Outbox) -> list[str]:
    """Ids of what goes to the lake next, all of it."""
    sealed = outbox.batches.seal(ANY, ANY, ANY)
    return [] if sealed is None else sealed.uses["query_id"].to_pylist()


def test_each_id_is_recorded_once(outbox: Outbox) -> None:
    found = outbox.record([submission([Use("a"), Use("b")]), submission([Use("b"), Use("c")])])
    assert found == [Recorded(2), Recorded(1)]
    assert outbox.record([submission([Use("a")])]) == [Recorded(0)]
    assert waiting_ids(outbox) == ["a", "b", "c"]
    assert outbox.counted("2026-10") == 3.0


def test_an_id_that_stands_twice_in_a_submission_counts_once(outbox: Outbox) -> None:
    assert outbox.record([submission([Use("a"), Use("a")]), submission([Use("b")])]) == [Recorded(1), Recorded(1)]
    twice = submission([Use("c"), Use("c", content="other")])
    refused, other = outbox.record([twice, submission([Use("d")])])
    assert isinstance(refused, ContentConflict)
    assert other == Recorded(1)
    assert waiting_ids(outbox) == ["a", "b", "d"]


def test_a_contradiction_refuses_its_whole_submission_and_no_other(outbox: Outbox) -> None:
    outbox.record([submission([Use("a")])])
    before, wrong, after = outbox.record(
        [
            submission([Use("b")]),
            submission([Use("c"), Use("a", content="other"), Use("d")]),
            submission([Use("e")]),
        ]
    )
    assert (before, after) == (Recorded(1), Recorded(1))
    assert isinstance(wrong, ContentConflict)
    assert "other content" in str(wrong)
    assert waiting_ids(outbox) == ["a", "b", "e"]


def test_an_id_of_another_month_is_refused_where_the_caller_gave_the_time(outbox: Outbox) -> None:
    outbox.record([submission([Use("a")])])
    [refused] = outbox.record([submission([Use("a", period="2026-11")])])
    assert isinstance(refused, ContentConflict)
    assert "a use of 2026-10" in str(refused)


def test_a_repeated_use_without_a_time_stays_in_its_month_and_its_reply_says_so(outbox: Outbox) -> None:
    outbox.record([submission([Use("a", dated=False)])])
    later = [Use("a", period="2026-11", dated=False), Use("ä", period="2026-11", dated=False)]
    [plain] = outbox.record([submission(later[:1])])
    assert plain == Recorded(0, None, {"a": "2026-10"})
    queries = [{"query_id": use.query_id, "period": use.period, "text": "é"} for use in later]
    head = json.dumps({"queries": queries}, ensure_ascii=False).encode()[:-1]
    [keyed] = outbox.record([submission(later, KeyedReply("key", "sha", head))])
    assert isinstance(keyed, Recorded)
    assert keyed.body is not None
    answer = json.loads(keyed.body)
    assert [query["period"] for query in answer["queries"]] == ["2026-10", "2026-11"]
    assert answer["recorded"] == 1
    assert outbox.reply("key", "sha") == keyed.body
    assert outbox.counted("2026-11") == 1.0


def test_a_reply_is_given_again_and_only_to_the_same_request(outbox: Outbox, path: Path) -> None:
    reply = KeyedReply("caller key", "sha", b'{"queries":[]')
    [first] = outbox.record([submission([Use("a"), Use("b")], reply)])
    assert first == Recorded(2, b'{"queries":[],"recorded":2}')
    [again] = outbox.record([submission([Use("new")], reply)])
    assert again == Recorded(0, first.body)
    assert outbox.use("new") is None
    [other] = outbox.record([submission([Use("c")], reply._replace(body_sha256="other"))])
    assert isinstance(other, ContentConflict)
    outbox.close()
    reopened = Outbox(path, RUN)
    assert reopened.reply("caller key", "sha") == first.body
    with pytest.raises(ContentConflict, match="with another request"):
        reopened.reply("caller key", "other")
    assert reopened.reply("another", "sha") is None
    reopened.close()


def test_a_reply_can_say_what_other_outboxes_recorded(outbox: Outbox) -> None:
    nothing = submission([Use("a")]).uses.slice(0, 0)
    [found] = outbox.record([submission([])._replace(uses=nothing, reply=KeyedReply("k", "s", b'{"q":1', 7))])
    assert found == Recorded(0, b'{"q":1,"recorded":7}')
    assert waiting_ids(outbox) == []


def test_what_was_recorded_is_there_after_a_crash(path: Path) -> None:
    """Nothing is closed: another connection sees what a killed process leaves."""
    crashed = Outbox(path, RUN)
    crashed.record([submission([Use("a", weight=2.5), Use("b", unread=True)])])
    reopened = Outbox(path, RUN)
    assert reopened.batches.waiting() == 2
    found = reopened.use("a")
    assert found is not None
    expected = Use("a", weight=2.5).row()
    del expected["content_json"]  # stands apart, to be deleted
    assert found.to_pylist() == [expected]
    assert period_of(reopened, "b") == "2026-10"
    assert reopened.content("b") == "content"
    assert reopened.readings.lease(9) == [("b", "content")]
    assert reopened.record([submission([Use("a")])]) == [Recorded(0)]


def test_contents_are_kept_as_long_as_asked_for(path: Path) -> None:
    kept = Outbox(path, RUN, contents_kept_s=3600.0)
    rows = submission([Use("a")]).uses
    text = pa.array(["what was asked"], pa.string())
    uses = rows.set_column(rows.schema.get_field_index("content_json"), "content_json", text)
    kept.record([submission([])._replace(uses=uses)])
    kept.forget()
    assert kept.content("a") == "what was asked"
    kept.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE contents SET made_s = made_s - 3601")
    database.close()
    kept = Outbox(path, RUN, contents_kept_s=3600.0)
    kept.forget()
    assert kept.content("a") is None
    assert kept.use("a") is not None
    kept.close()


def test_replies_are_forgotten_after_a_day_and_ids_never(outbox: Outbox, path: Path) -> None:
    outbox.record([submission([Use("a")], KeyedReply("k", "s", b"{"))])
    outbox.forget()
    assert outbox.reply("k", "s") is not None
    with sqlite3.connect(path) as database:
        database.execute("UPDATE replies SET made_s = made_s - 86401")
    database.close()
    outbox.forget()
    assert outbox.reply("k", "s") is None
    sealed = outbox.batches.seal(ANY, ANY, ANY)
    assert sealed is not None
    outbox.batches.finish(sealed.number)
    assert outbox.record([submission([Use("a")])]) == [Recorded(0)]
    assert (outbox.use("a"), period_of(outbox, "a"), outbox.batches.waiting()) == (None, "2026-10", 0)


def test_uses_of_another_simulation_are_refused(outbox: Outbox, path: Path) -> None:
    uses = submission([Use("a")]).uses
    other = uses.set_column(1, uses.schema.field("simulate_run"), pa.array(["simulate-other"], pa.string()))
    refused, fine = outbox.record([submission([])._replace(uses=other), submission([Use("b")])])
    assert isinstance(refused, LakeUnavailable)
    assert "attributed by simulate-other" in str(refused)
    assert fine == Recorded(1)
    outbox.close()
    with pytest.raises(LakeError, match=f"1 uses in the outbox .* were attributed by {RUN}"):
        Outbox(path, "simulate-other")


def test_an_empty_outbox_begins_anew_with_another_simulation(outbox: Outbox, path: Path) -> None:
    outbox.record([submission([Use("a")], KeyedReply("k", "s", b"{"))])
    sealed = outbox.batches.seal(ANY, ANY, ANY)
    assert sealed is not None
    outbox.batches.finish(sealed.number)
    outbox.close()
    other = Outbox(path, "simulate-other")
    assert (period_of(other, "a"), other.reply("k", "s"), other.counted("2026-10")) == (None, None, 0.0)
    other.close()


def test_a_file_that_is_no_outbox_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to have a header of one" * 9)
    with pytest.raises(LakeDamaged, match="Stop the service"):
        Outbox(path, RUN)


def test_a_file_of_a_later_release_is_refused(outbox: Outbox, path: Path) -> None:
    outbox.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LakeError, match="by a later release"):
        Outbox(path, RUN)


def test_only_its_owner_can_read_it(outbox: Outbox, path: Path) -> None:
    outbox.record([submission([Use("a")])])
    modes = {each.name: each.stat().st_mode & 0o077 for each in (path.parent, *path.parent.iterdir())}
    assert set(modes.values()) == {0}, modes


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LakeUnavailable, match="outbox"):
        Outbox(tmp_path / "service" / "outbox-0.sqlite", RUN)
    tmp_path.chmod(0o700)


def test_a_full_disk_refuses_and_nothing_is_lost(outbox: Outbox) -> None:
    outbox.record([submission([Use("a")])])
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = submission([Use(f"many-{number}") for number in range(2000)])
    with pytest.raises(LakeUnavailable, match="full"):
        outbox.record([many])
    outbox._connection.execute("PRAGMA max_page_count = 1000000")
    assert outbox.record([many]) == [Recorded(2000)]
    assert len(waiting_ids(outbox)) == 2001


def test_threads_take_turns(outbox: Outbox) -> None:
    def record(thread: int) -> None:
        for number in range(20):
            outbox.record([submission([Use(f"{thread}-{number}"), Use(f"shared-{number}")])])
            outbox.batches.waiting()

    threads = [threading.Thread(target=record, args=(thread,)) for thread in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(waiting_ids(outbox)) == len(set(waiting_ids(outbox))) == 100


def test_another_process_can_count_what_waits(outbox: Outbox, path: Path) -> None:
    outbox.record([submission([Use("a"), Use("b")]), submission([Use("c", period="2026-11")])])
    assert uses_waiting(path) == 3
    assert [uses_waiting(path, month) for month in ("2026-10", "2026-11", "2026-12")] == [2, 1, 0]
    sealed = outbox.batches.seal(1, 10**6, 1)
    assert sealed is not None and uses_waiting(path, "2026-10") == 2, "until the lake has it"
    outbox.batches.finish(sealed.number)
    assert [uses_waiting(path, month) for month in ("2026-10", "2026-11", None)] == [0, 1, 1]


def test_counting_what_waits_writes_nothing_and_waits_for_nobody(outbox: Outbox, path: Path) -> None:
    outbox.record([submission([Use("a")])])
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        assert uses_waiting(path, "2026-10") == 1
    path.unlink()
    with pytest.raises(LakeUnavailable):
        uses_waiting(path)
    assert not path.exists()
    path.touch()
    assert uses_waiting(path) == 0, "the service was killed as it made the file"
