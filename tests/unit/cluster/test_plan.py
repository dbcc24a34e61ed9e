"""Division of work into chunks."""

from pathlib import Path

import pytest

from tribute.cluster import TrainJob
from tribute.cluster.plan import ProgressFile, chunks, done_of, owners


@pytest.mark.parametrize(("count", "largest"), [(1, 8), (8, 8), (10, 8), (20, 7), (23, 1)])
def test_chunks_cover_everything_once_in_few_even_parts(count: int, largest: int) -> None:
    cut = chunks(count, largest)
    assert [index for chunk in cut for index in chunk] == list(range(count))
    sizes = [len(chunk) for chunk in cut]
    assert max(sizes) <= largest
    assert max(sizes) - min(sizes) <= 1
    assert len(cut) == -(-count // largest)


def test_owners_balance_bytes_and_own_every_file_once() -> None:
    a, b, c, d = map(Path, "abcd")
    assert owners({a: 100, b: 60, c: 50, d: 10}, 2) == [[a, d], [b, c]]
    assert owners({a: 5}, 3) == [[a]]


def test_running_jobs_count_by_their_finished_part(tmp_path: Path) -> None:
    """Two trainings of an hour each move before the first of them ends."""
    jobs = [TrainJob(index, index, tmp_path / str(index)) for index in range(3)]
    assert done_of(jobs, {}, [0, 1]) == (0, 3)
    for job, part in zip(jobs, (0.5, 0.25), strict=False):
        job.folder.mkdir()
        job.progress_file.write(part)
    assert done_of(jobs, {}, [0, 1]) == (0.7, 3)
    assert done_of(jobs, {2: "row"}, [0, 1]) == (1.7, 3)
    jobs[0].progress_file.remove()
    assert done_of(jobs, {0: "row", 2: "row"}, [1]) == (2.2, 3)


def test_a_progress_file_is_written_once_a_second_at_most(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "progress")
    for step in range(1000):
        file.write(step / 1000)
    assert file.read() < 0.9
