"""What the lake knows of recorded trainings and simulated responses, with the files behind it.

A file that is not the one the lake names (by SHA-256) is never used.
"""

from dataclasses import dataclass

from torch import Tensor

from tribute.config import Project
from tribute.lineage import lineage
from tribute.simulation.response import ResponseFile, check_file
from tribute.training import Trajectory
from tribute_storage import connect


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


def recorded_replicates(project: Project) -> list[Replicate]:
    """All replicates of the project's training, in order; none if it was not trained."""
    with connect(project.lake_root) as connection:
        rows = connection.execute(
            "select replicate, seed, steps, artifact_uri, artifact_sha256 from trajectories where run_id = $1 "
            "order by replicate",
            [lineage(project).train_run],
        ).fetchall()
    return [
        Replicate(index, seed, steps, Trajectory((project.workdir / uri).parent), sha256)
        for index, seed, steps, uri, sha256 in rows
    ]


def simulated_responses(project: Project) -> dict[str, list[ResponseFile]]:
    """The response files of every source, by source id, in the order of the replicates."""
    with connect(project.lake_root) as connection:
        rows = connection.execute(
            "select source_id, replicate, artifact_uri, artifact_sha256 from simulations where run_id = $1 "
            "order by source_id, replicate",
            [lineage(project).simulate_run],
        ).fetchall()
    found: dict[str, list[ResponseFile]] = {}
    for source_id, replicate, uri, sha256 in rows:
        file = ResponseFile(source_id, replicate, project.workdir / uri, sha256)
        found.setdefault(source_id, []).append(file)
    return found
