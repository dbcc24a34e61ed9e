"""A recorded training and its simulated responses, as sent to workers.

Kept separate from `tribute.catalog`: Ray pickles this module to workers, and importing DuckDB there prints an
error at exit.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tribute.files.sealed import require_recorded
from tribute.simulation.response import ResponseFile
from tribute.simulation.units import Unit
from tribute.tasks import joined
from tribute.training import Trajectory


@dataclass(frozen=True)
class Replicate:
    """One recorded training."""

    index: int
    seed: int
    steps: int
    trajectory: Trajectory
    sha256: str

    @property
    def file(self) -> Path:
        """The file of the final parameters."""
        return self.trajectory.path(self.steps)

    def verify(self) -> None:
        """Check that the file of the final parameters is the recorded one.

        Raises:
            DamagedFile: the file is missing, or its SHA-256 differs.
        """
        require_recorded(self.file, self.sha256)

    def final(self) -> Tensor:
        """Read the final parameters, [P]; raises what `verify` raises."""
        self.verify()
        return joined(self.trajectory.load(self.steps).theta)


@dataclass(frozen=True)
class Simulated:
    """A unit and its response in every replicate; None if the simulation failed there."""

    unit: Unit
    files: tuple[ResponseFile | None, ...]

    @property
    def failed(self) -> bool:
        """Whether the simulation failed in any replicate."""
        return None in self.files
