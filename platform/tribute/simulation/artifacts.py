"""A recorded training and its simulated responses, as sent to workers.

Kept separate from `tribute.catalog`: Ray pickles this module to workers, and importing DuckDB there prints an
error at exit.
"""

from dataclasses import dataclass

from torch import Tensor

from tribute.simulation.response import ResponseFile, check_file
from tribute.simulation.units import Unit
from tribute.training import Trajectory


@dataclass(frozen=True)
class Replicate:
    """One recorded training."""

    index: int
    seed: int
    steps: int
    trajectory: Trajectory
    sha256: str

    def final(self) -> Tensor:
        """Read the final parameters, [P].

        Raises:
            SimulationError: the checkpoint is missing, or its SHA-256 differs from the recorded one.
        """
        check_file(self.trajectory.path(self.steps), self.sha256, "train under another training.seed")
        return self.trajectory.load(self.steps).theta


@dataclass(frozen=True)
class Simulated:
    """A unit and its response in every replicate; None if the simulation failed there."""

    unit: Unit
    files: tuple[ResponseFile | None, ...]

    @property
    def failed(self) -> bool:
        """Whether the simulation failed in any replicate."""
        return None in self.files
