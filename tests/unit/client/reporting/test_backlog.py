"""A spool is a queue whatever happens between two operations: a restart, a further file, a torn line."""

import os
import stat
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribute.client.reporting.backlog import BacklogFull, MemoryBacklog
from tribute.client.reporting.spool import Spool
from tribute.errors import MachineError

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 40)),
        st.tuples(st.just("take"), st.integers(1, 10)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=40,
)


def emptied(spool: Spool) -> list[bytes]:
    found = spool.peek(len(spool))
    spool.advance(len(found))
    return found


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_a_spool_is_a_queue(steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        spool, queue, number = Spool(Path(folder), file_bytes=64), deque[bytes](), 0
        for step, size in steps:
            if step == "add":
                number += 1
                line = f"{number:04}".encode() * size
                spool.add(line)
                queue.append(line)
            elif step == "take":
                found = spool.peek(size)
                assert found == list(queue)[:size]
                taken = len(found) // 2 + len(found) % 2
                spool.advance(taken)
                for _ in range(taken):
                    queue.popleft()
            else:
                spool.close()
                spool = Spool(Path(folder), file_bytes=64)
            assert len(spool) == len(queue)
        assert emptied(spool) == list(queue)
        assert [*Path(folder).rglob("*.jsonl")] == []
        spool.close()


def test_two_processes_have_a_part_each_and_a_third_takes_over(tmp_path: Path) -> None:
    first, second = Spool(tmp_path), Spool(tmp_path)
    first.add(b"one")
    second.add(b"two")
    second.add(b"three")
    assert (first.peek(9), second.peek(9)) == ([b"one"], [b"two", b"three"])
    for spool in (first, second):
        spool.close()
    third = Spool(tmp_path)
    assert emptied(third) == [b"one", b"two", b"three"]
    third.close()


def test_what_is_taken_over_is_not_taken_for_delivered(tmp_path: Path) -> None:
    """The numbers of files go on from where they were delivered to."""
    first, second = Spool(tmp_path, file_bytes=1), Spool(tmp_path, file_bytes=1)
    for _ in range(5):
        first.add(b"old")
    assert len(emptied(first)) == 5
    second.add(b"new")
    first.close()
    second.close()
    third = Spool(tmp_path)
    assert emptied(third) == [b"new"]
    third.close()


def test_a_position_that_is_lost_repeats_and_loses_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for line in (b"one", b"two", b"three"):
        spool.add(line)
    spool.peek(2)
    spool.advance(1)
    spool.close()
    [position] = tmp_path.rglob("position")
    position.write_bytes(b"")
    again = Spool(tmp_path)
    assert emptied(again) == [b"one", b"two", b"three"]
    again.close()


def test_a_torn_line_stands_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.add(b"one")
    spool.close()
    [file] = tmp_path.rglob("*.jsonl")
    with file.open("ab") as torn:
        torn.write(b'{"query')
    again = Spool(tmp_path)
    again.add(b"two")
    assert emptied(again) == [b"one", b'{"query', b"two"]
    again.close()


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.add(b"one")
    [file] = (tmp_path / "spool").rglob("*.jsonl")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    for descriptor in spool.unsynced():
        os.fsync(descriptor)
        os.close(descriptor)
    assert len(spool.unsynced()) == 1
    spool.close()


def test_no_room_is_said(tmp_path: Path) -> None:
    memory, spool = MemoryBacklog(1), Spool(tmp_path, capacity=10)
    memory.add(b"one")
    spool.add(b"123456")
    with pytest.raises(BacklogFull, match="1 uses wait already"):
        memory.add(b"two")
    with pytest.raises(BacklogFull, match="7 bytes already"):
        spool.add(b"1234")
    assert (memory.peek(9), spool.peek(9)) == ([b"one"], [b"123456"])
    spool.close()


def test_a_disk_without_room_keeps_what_is_there(tmp_path: Path) -> None:
    """/dev/full refuses every byte, as a full disk does."""
    spool = Spool(tmp_path)
    spool.add(b"one")
    full = os.open("/dev/full", os.O_WRONLY)
    own, spool._writer = spool._writer, full
    with pytest.raises(BacklogFull, match="cannot be written"):
        spool.add(b"two")
    spool._writer = own
    os.close(full)
    spool.add(b"three")
    assert emptied(spool) == [b"one", b"three"]
    spool.close()


def test_a_spool_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be used"):
        Spool(tmp_path / "file")
