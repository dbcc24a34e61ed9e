"""A recorded training and simulated responses, as workers are told of them.

Apart from the queries that find them: Ray keeps the modules that workers' code names, and DuckDB complains of that
at exit.
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
        """Final parameters, [P].

        Raises:
            SimulationError: the checkpoint is not the one that was recorded.
        """
        check_file(self.trajectory.path(self.steps), self.sha256, "train under another training.seed")
        return self.trajectory.load(self.steps).theta


@dataclass(frozen=True)
class Simulated:
    """A unit, and its response in every replicate; None where its simulation failed."""

    unit: Unit
    files: tuple[ResponseFile | None, ...]

    @property
    def failed(self) -> bool:
        """Whether it failed in any replicate."""
        return None in self.files
