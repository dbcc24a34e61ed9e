"""The full training of each seed, with which trainings without sources are compared.

Of a replicate it is the training itself, of a checkpoint its further training on all sources. Other seeds are
trained anew; recordings have none.

Legend: P parameters.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tribute.catalog import recorded_replicates
from tribute.cluster import TrainJob
from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.evaluation import FULL_TRAINING
from tribute.files.sealed import intact
from tribute.files.tensors import read_tensors
from tribute.ids import listed
from tribute.tasks import joined
from tribute.training import Recipe, Trajectory, distance_to_end
from tribute_jobs.compute.bank import Bank
from tribute_jobs.context import Context

FULL_FILE = "full.safetensors"
"""Of a seed: where trajectories without removal end, by the operations of those with one."""


class FullTrainings:
    """Trains under all sources, and finds what was trained.

    Args:
        settings: of trainings without sources.
    """

    def __init__(self, context: Context, bank: Bank, settings: SimulationSettings) -> None:
        self._context, self._bank, self._settings = context, bank, settings
        self.repetition = context.project.training.repetition
        self._replicates = recorded_replicates(context.project)
        self._own = {each.seed: each.index for each in self._replicates}

    def recipe(self, seed: int) -> Recipe:
        """The training of a seed."""
        project, examples = self._context.project, self._context.workers().data
        recording = self._context.recording(self._own[seed]) if seed in self._own else None
        return Recipe(project.task, project.training, examples, seed, recording=recording)

    def run(self, seeds: Sequence[int]) -> list[Any]:
        """Train under some seeds: rows of `trajectories`, or why there is none.

        Raises:
            ConfigError: the loop was recorded under other seeds.
        """
        if not seeds:
            return []
        if self.repetition == "replayed":
            raise ConfigError(
                f"Nothing was recorded under seed {listed(map(str, seeds))}, but under "
                f"{listed(map(str, self._own))}. Record a further loop, and add it to training.recordings"
            )
        further = self._settings if self.repetition == "continued" else None
        folders = (self._bank.folder / f"seed-{seed}" / FULL_TRAINING for seed in seeds)
        jobs = [TrainJob(0, *each, further=further) for each in zip(seeds, folders, strict=True)]
        return self._context.run_jobs("trainings", jobs, lambda actor, job: actor.train.remote(job), tolerant=True)

    def of(self, seed: int) -> tuple[Trajectory, int]:
        """A seed's full training and its steps; its final parameters are the recorded ones."""
        file = self._bank.files[seed, FULL_TRAINING]
        assert file is not None
        file.verify()
        return Trajectory(file.path.parent), int(file.path.stem.removeprefix("step-"))

    def start(self, seed: int) -> tuple[Trajectory, int, int]:
        """Recorded states for trainings without sources, the last of them, and the number of steps."""
        if self.repetition == "continued":
            return self._replicates[0].trajectory, 0, self._settings.steps
        return *self.of(seed), self.recipe(seed).steps

    def final(self, seed: int) -> Tensor:
        """Final parameters of a seed's full training, [P]."""
        trajectory, steps = self.of(seed)
        return joined(trajectory.load(steps).theta)

    def drift(self, seeds: Sequence[int]) -> float | None:
        """How far replays without removal end from their recordings, as a part of the way, at most.

        None: nothing is replayed, the ends of replays are gone, or the recordings hold no last state.
        """
        found = list[float | None]()
        for seed in seeds if self.repetition == "replayed" else ():
            path = self._bank.folder / f"seed-{seed}" / FULL_FILE
            found.append(distance_to_end(self.recipe(seed), read_tensors(path)) if intact(path) else None)
        return max((drift for drift in found if drift is not None), default=None)
