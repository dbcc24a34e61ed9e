"""How work is cut into jobs. The cut follows the settings alone, never the number of workers, so that results
are the same bits on any cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tribute.config import SimulationSettings
from tribute.simulation import Replicate, ResponseFile, Unit
from tribute.training import Trajectory


@dataclass(frozen=True)
class Job:
    """A piece of work of some size and cost; `progress` says how much of it is on disk."""

    @property
    def size(self) -> int:
        """What a progress bar counts."""
        return 1

    @property
    def cost(self) -> float:
        """Expected time, in units that all jobs of a run share: the costliest are handed out first."""
        return 1.0

    def progress(self) -> float:
        """The part that is done, 0 to 1."""
        return 0.0

    def kept(self) -> float:
        """Grows with whatever a worker's death cannot undo."""
        return 0.0


@dataclass(frozen=True)
class ReadJob(Job):
    """Read the examples of some sources."""

    source_ids: tuple[str, ...]


@dataclass(frozen=True)
class TrainJob(Job):
    """Train one replicate, or take over a recording of it, and keep its trajectory in `folder`."""

    replicate: int
    seed: int
    folder: Path
    recording: Path | None = None

    def kept(self) -> float:
        """Recorded states."""
        return len(Trajectory(self.folder).steps())


@dataclass(frozen=True)
class SimulateJob(Job):
    """Simulate the responses of some units in one replicate; everything it keeps is in `folder` under `name`."""

    replicate: int
    seed: int
    settings: SimulationSettings
    name: str
    units: tuple[Unit, ...]
    start_step: int
    steps: int
    folder: Path
    recording: Path | None = None
    probe: bool = False

    @property
    def size(self) -> int:
        """Units."""
        return len(self.units)

    @property
    def cost(self) -> float:
        """Steps of trajectories."""
        return (1 + len(self.units)) * self.steps

    @property
    def rows_file(self) -> Path:
        """The rows of `simulations`, written last: the mark of a finished job."""
        return self.folder / f"{self.name}.json"

    @property
    def stack_file(self) -> Path:
        """The checkpoint: the state of all trajectories, and the step it is before."""
        return self.folder / f"{self.name}.stack.safetensors"

    @property
    def steps_file(self) -> Path:
        """One byte for every step that was computed, lost ones included."""
        return self.folder / f"{self.name}.steps"

    def progress(self) -> float:
        """Computed steps of all steps; 1 when the rows are there."""
        if self.rows_file.exists():
            return 1.0
        computed = self.steps_file.stat().st_size if self.steps_file.exists() else 0
        return min(computed / max(self.steps, 1), 0.99)

    def kept(self) -> float:
        """When the last checkpoint was written, s."""
        return self.stack_file.stat().st_mtime if self.stack_file.exists() else 0.0


@dataclass(frozen=True)
class EstimateJob(Job):
    """Fit an estimator to a replicate in `folder`, and gather some units; without units, fit alone."""

    replicate: Replicate
    settings: SimulationSettings
    name: str
    units: tuple[Unit, ...]
    folder: Path
    recording: Path | None = None

    @property
    def size(self) -> int:
        """Units."""
        return max(1, len(self.units))

    @property
    def file(self) -> Path:
        """What is gathered."""
        return self.folder / f"{self.name}.safetensors"

    @property
    def rows_file(self) -> Path:
        """The rows of `simulations` and the seconds that it took, written last: the mark of a finished job."""
        return self.folder / f"{self.name}.json"


@dataclass(frozen=True)
class InfluenceJob(Job):
    """What an estimator says of all queries, for the units of one gathered file."""

    replicate: Replicate
    settings: SimulationSettings
    file: Path
    sha256: str
    units: int
    recording: Path | None = None

    @property
    def size(self) -> int:
        """Units."""
        return self.units


@dataclass(frozen=True)
class SketchJob(Job):
    """Sketch the content of some sources (indices in the training set) under the state of a replicate."""

    seed: int
    sources: tuple[int, ...]

    @property
    def size(self) -> int:
        """Sources."""
        return len(self.sources)


@dataclass(frozen=True)
class ReadOutJob(Job):
    """Read out all queries for some units, each with its response files in the order of the replicates."""

    method: str
    scope: str
    units: tuple[tuple[str, tuple[ResponseFile | None, ...]], ...]

    @property
    def size(self) -> int:
        """Units."""
        return len(self.units)


@dataclass(frozen=True)
class FeatureJob(Job):
    """Sum the features of some queries (indices) by the group of each."""

    chosen: tuple[int, ...]

    @property
    def size(self) -> int:
        """Queries."""
        return len(self.chosen)


@dataclass(frozen=True)
class PatchJob(Job):
    """Take one training step on each of some sources (indices in the training set) and read out what it gains."""

    seed: int
    sources: tuple[int, ...]

    @property
    def size(self) -> int:
        """Sources."""
        return len(self.sources)


@dataclass(frozen=True)
class WriteJob(Job):
    """Write the influence rows of some sources (indices in the corpus)."""

    run_id: str
    sources: tuple[int, ...]


def chunks(count: int, largest: int) -> list[tuple[int, ...]]:
    """Indices 0 to `count` - 1 in the fewest runs of at most `largest`, as even as can be."""
    parts = -(-count // largest)
    bounds = [count * part // parts for part in range(parts + 1)]
    return [tuple(range(begin, end)) for begin, end in pairwise(bounds)]


def owners(source_ids: Sequence[str], tokens: Sequence[int], shards: int) -> list[list[str]]:
    """Which sources each shard reads: the largest first, each to the shard that holds least so far."""
    held = [0] * shards
    owned: list[list[str]] = [[] for _ in range(shards)]
    for size, source_id in sorted(zip(tokens, source_ids, strict=True), key=lambda pair: (-pair[0], pair[1])):
        least = held.index(min(held))
        held[least] += size
        owned[least].append(source_id)
    return [sources for sources in owned if sources]
