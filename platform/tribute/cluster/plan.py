"""Cuts work into jobs.

The cut depends on the settings alone, not on the number of workers, so results are the same bits on any cluster.
"""

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tribute.simulation import Unit


@dataclass(frozen=True)
class Job:
    """A piece of work for one worker. Jobs are idempotent: a repeated job costs only what was lost."""

    @property
    def size(self) -> int:
        """Its length on the progress bar."""
        return 1

    @property
    def cost(self) -> float:
        """Expected time, in a unit that all jobs of a run share. The costliest jobs start first."""
        return 1.0

    def progress(self) -> float:
        """Finished part, 0 to 1."""
        return 0.0

    def kept(self) -> float:
        """A number that grows with work that survives the death of the worker."""
        return 0.0


class ProgressFile:
    """The finished part of a job, in a file that its worker writes at most once a second."""

    def __init__(self, path: Path) -> None:
        self._path, self._written = path, 0.0

    def write(self, part: float) -> None:
        """Note the finished part, 0 to 1."""
        now = time.monotonic()
        if now - self._written >= 1:
            self._path.write_text(f"{part:.4f}")
            self._written = now

    def read(self) -> float:
        """The part that was noted last; 0 if none was."""
        try:
            return float(self._path.read_text())
        except (OSError, ValueError):  # none, or in the middle of being written
            return 0.0

    def remove(self) -> None:
        """The job is finished."""
        self._path.unlink(missing_ok=True)


def done_of(jobs: Sequence[Job], finished: Collection[int], running: Iterable[int]) -> tuple[float, int]:
    """Size of the finished jobs and of the finished parts of running ones, to a tenth; and of all jobs.

    Args:
        finished, running: indices of jobs.
    """
    done = sum(jobs[index].size for index in finished)
    partly = sum(jobs[index].size * jobs[index].progress() for index in running)
    return math.floor(10 * (done + partly)) / 10, sum(job.size for job in jobs)


@dataclass(frozen=True)
class SimulationsJob(Job):
    """A job whose result is rows of `simulations`. Its files are in `folder`, named after `name`."""

    name: str
    units: tuple[Unit, ...]
    folder: Path

    @property
    def size(self) -> int:
        """Units."""
        return max(1, len(self.units))

    @property
    def rows_file(self) -> Path:
        """The rows and what the job adds to them. Written last: it marks a finished job."""
        return self.folder / f"{self.name}.json"


def chunks(count: int, largest: int) -> list[tuple[int, ...]]:
    """Indices 0 to `count` - 1, cut into the fewest runs of at most `largest`, as even as possible."""
    parts = -(-count // largest)
    bounds = [count * part // parts for part in range(parts + 1)]
    return [tuple(range(begin, end)) for begin, end in pairwise(bounds)]


def owners(sizes: Mapping[Path, int], shards: int) -> list[list[Path]]:
    """The files that each shard owns. The largest come first, each goes to the shard with fewest bytes.

    Args:
        sizes: bytes of every file.
    """
    assigned = [0] * shards
    owned: list[list[Path]] = [[] for _ in range(shards)]
    for path, size in sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])):
        smallest = assigned.index(min(assigned))
        assigned[smallest] += size
        owned[smallest].append(path)
    return [paths for paths in owned if paths]
