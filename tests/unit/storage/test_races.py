import multiprocessing
from pathlib import Path

import pytest

from tests.unit.storage import committer
from tribute_storage import Lake, open_tables
from tribute_storage.upkeep.maintenance import orphans

WORKER = tuple[str, int, str]
"""Stamp, commits and mode of a process."""
COMMITS = pytest.mark.parametrize("commits", [8, pytest.param(50, marks=pytest.mark.slow)])
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["pytest", committer.__name__])  # so that no child imports anything


def race(root: Path, committers: list[WORKER], others: list[WORKER] | None = None) -> tuple[int, list[int]]:
    """Let the processes work from the same moment on; commits they count as their own, and what others count."""
    root.mkdir(exist_ok=True)
    workers = [*committers, *(others or [])]
    together, counts = FORKING.Barrier(len(workers)), FORKING.SimpleQueue()
    started = [
        FORKING.Process(target=committer.compete, args=(together, counts, str(root), *worker))
        for worker in workers
    ]
    for process in started:
        process.start()
    for process in started[: len(committers)]:
        process.join()
    (root / "done").touch()
    for process in started[len(committers) :]:
        process.join()
    assert [process.exitcode for process in started] == [0] * len(started)
    counted = dict(counts.get() for _ in started)
    return sum(counted[stamp] for stamp, *_ in committers), [counted[stamp] for stamp, *_ in others or []]


def committed_rows(root: Path) -> list[tuple[str, str]]:
    with open_tables(root, "publishers") as connection:
        return connection.execute("SELECT run_id, publisher_id FROM publishers ORDER BY ALL").fetchall()


def expected_rows(processes: int, commits: int) -> list[tuple[str, str]]:
    runs = [(f"w{worker}", number) for worker in range(processes) for number in range(commits)]
    return sorted((f"{w}-{number}", f"{w}.{part}") for w, number in runs for part in range(committer.FILES))


@COMMITS
def test_eight_writers_a_compaction_and_a_reader_lose_and_double_nothing(tmp_path: Path, commits: int) -> None:
    others = [("c", 0, "compact"), ("r", 0, "read")]
    won, (compactions, readings) = race(tmp_path, [(f"w{number}", commits, "own") for number in range(8)], others)
    assert won == 8 * commits
    assert committed_rows(tmp_path) == expected_rows(8, commits)
    assert compactions > 0
    assert readings > 1
    assert orphans(Lake(tmp_path)) == []


@COMMITS
def test_compactions_that_race_neither_double_nor_lose_a_row(tmp_path: Path, commits: int) -> None:
    others = [(f"c{number}", 0, "compact") for number in range(4)]
    won, compactions = race(tmp_path, [("w0", 2 * commits, "own"), ("w1", 2 * commits, "own")], others)
    assert won == 4 * commits
    assert committed_rows(tmp_path) == expected_rows(2, 2 * commits)
    assert sum(compactions) > 0
    assert orphans(Lake(tmp_path)) == []


def test_drivers_that_race_for_one_run_commit_it_once(tmp_path: Path) -> None:
    won, _ = race(tmp_path, [(f"w{number}", 6, "shared") for number in range(4)])
    assert won == 6
    assert [run_id for run_id, _ in committed_rows(tmp_path)] == [f"shared-{number}" for number in range(6)]
    assert len(orphans(Lake(tmp_path))) == 18


@COMMITS
def test_drivers_that_race_to_make_a_table_make_it_once(tmp_path: Path, commits: int) -> None:
    won, _ = race(tmp_path, [(f"w{number}", commits, "first") for number in range(3)])
    assert won == commits
    lakes = [Lake(tmp_path / str(number)) for number in range(commits)]
    assert [lake.version("publishers") for lake in lakes] == [0] * commits
    assert [len(orphans(lake)) for lake in lakes] == [2] * commits


def test_a_killed_writer_is_invisible_and_found(tmp_path: Path) -> None:
    race(tmp_path, [("w0", 1, "own")])
    writer = FORKING.Process(target=committer.committing, args=(str(tmp_path), "killed", 1, "die"))
    writer.start()
    writer.join()
    assert writer.exitcode == -9
    (tmp_path / "publishers" / ".half.parquet.0123").write_bytes(b"PAR1")
    assert committed_rows(tmp_path) == expected_rows(1, 1)
    assert len(orphans(Lake(tmp_path))) == 2
    assert not set(orphans(Lake(tmp_path))) & set(Lake(tmp_path).files("publishers"))
