"""Simulation jobs of a run: cut from its units, with the recorded state that each starts from."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from tribute.catalog import SimulationRun, recorded_replicates, run_id
from tribute.cluster import SimulateJob, chunks
from tribute.config import SimulationSettings
from tribute.simulation import Fit, Replicate, Unit, fit
from tribute.training import Recipe
from tribute_jobs.context import Context

Rows = list[dict[str, Any]]
"""Rows of `simulations`."""


class SimulationJobs:
    """Plans and runs the simulation jobs of a project's replicates."""

    def __init__(self, context: Context) -> None:
        self.context, self.workers = context, context.workers()
        self.replicates = recorded_replicates(context.project)
        self._fits: dict[str, Fit] = {}

    def recipe(self, replicate: Replicate) -> Recipe:
        """The training of a replicate, as the workers see it."""
        project, recording = self.context.project, self.context.recording(replicate.index)
        data = self.workers.data
        return Recipe(project.task, project.training, data, replicate.seed, recording=recording)

    def plan(
        self, run: SimulationRun, units: Sequence[Unit], part: str, *, probe: bool = False
    ) -> list[SimulateJob]:
        """The jobs of a run over some units: every chunk in every replicate.

        Args:
            part: begins the jobs' names, and so the names of their files.
            probe: also measure each unit's effect on a sample of training examples.
        """
        fitting = self._fit(run.settings)
        cut = chunks(len(units), fitting.chunk)
        parts = [tuple(units[u] for u in chosen) for chosen in cut]
        return [
            self._job(run, replicate, f"{part}-{_digest(chunk)}", chunk, probe, alone=fitting.alone)
            for replicate, chunk in product(self.replicates, parts)
        ]

    def run(self, jobs: Sequence[SimulateJob]) -> list[Rows]:
        """Run jobs on the workers; the rows of each.

        Raises:
            DamagedFile: the final parameters of a replicate are not the recorded ones.
        """
        for index in sorted({job.replicate for job in jobs}):
            self.replicates[index].verify()
        return self.context.run_jobs(
            "simulations",
            jobs,
            lambda actor, job: actor.simulate.remote(job),
        )

    def _fit(self, settings: SimulationSettings) -> Fit:
        """What a worker holds; found once for all sizes of a perturbation, since it takes steps of the model."""
        key = settings.model_dump_json(exclude={"epsilon"})
        if key not in self._fits:
            self._fits[key] = fit(self.recipe(self.replicates[0]), settings)
        return self._fits[key]

    def _job(
        self,
        run: SimulationRun,
        replicate: Replicate,
        name: str,
        units: tuple[Unit, ...],
        probe: bool,
        *,
        alone: bool,
    ) -> SimulateJob:
        settings, recipe = run.settings, self.recipe(replicate)
        folder = self.context.folder(run.run_id) / f"replicate-{replicate.index}"
        first = 0 if settings.base == "continue" else recipe.horizon_start(settings.horizon)
        return SimulateJob(
            name,
            units,
            folder / name,
            replicate.index,
            replicate.seed,
            settings,
            replicate.trajectory,
            replicate.trajectory.last_before(first),
            replicate.steps,
            settings.steps if settings.base == "continue" else recipe.steps - first,
            recipe.recording,
            probe,
            folder / "unperturbed.safetensors" if alone else None,
            alone,
        )


def _digest(units: Sequence[Unit]) -> str:
    """A hash of the units in a chunk: a later run that needs the same units finds their files."""
    return run_id("", [[unit.unit_id, *unit.removed] for unit in units]).lstrip("-")
