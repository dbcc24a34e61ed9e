"""Estimator jobs: fit an estimator to every replicate, gather its units, and read queries out of it.

Legend: R replicates, Q queries, U units.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import SimulationRun, recorded_replicates, run_id
from tribute.cluster import EstimateJob, InfluenceJob, chunks, named
from tribute.corpus import QueryTable
from tribute.errors import TributeError
from tribute.estimators import Trained, is_model_free, largest_part
from tribute.readout import QueryRows
from tribute.simulation import Replicate, Simulated, Unit
from tribute.training import Recipe
from tribute_jobs.context import Context

TIMED_QUERIES = 32
"""Queries on which an estimator is timed."""
FORWARD_QUERIES = 256
"""Queries whose forward passes are timed for comparison."""
FIT = "fit"
Rows = list[dict[str, Any]]
Done = list[tuple[EstimateJob, Rows]]
"""Jobs with their rows of `simulations`."""


class Costs(NamedTuple):
    """Cost of an estimator in one replicate: its preparation in trainings, a query in forward passes."""

    prepare_in_trainings: float
    query_in_forwards: float


class EstimatorJobs:
    """Plans and runs the estimator jobs of a project's replicates."""

    def __init__(self, context: Context) -> None:
        self._context, self._workers = context, context.workers()
        self._replicates = recorded_replicates(context.project)

    def gather(
        self, runs: Sequence[SimulationRun], units: Sequence[Unit], *, tolerant: bool = False
    ) -> list[Done | TributeError]:
        """Fit and gather every run, except for what is on disk. All fits run together, to keep workers busy.

        Args:
            tolerant: an estimator that fails has its error as its result, and the others continue.

        Raises:
            TributeError: raised by an estimator, if not tolerant.
        """
        fits = [[self._job(run, replicate, ()) for replicate in self._replicates_of(run)] for run in runs]
        fitted = self._estimate(fits, tolerant)
        parts = [
            outcome if isinstance(outcome, TributeError) else self._parts(run, units, tolerant)
            for run, outcome in zip(runs, fitted, strict=True)
        ]
        gathered = iter(self._estimate([part for part in parts if not isinstance(part, TributeError)], tolerant))
        return [part if isinstance(part, TributeError) else next(gathered) for part in parts]

    def _estimate(self, parts: Sequence[Sequence[EstimateJob]], tolerant: bool) -> list[Done | TributeError]:
        """Run the jobs of several estimators together; each estimator's jobs and rows, or its first error."""
        jobs = [job for part in parts for job in part]
        part = "parts of estimators" if any(job.units for job in jobs) else "fits"
        rows = self._context.run_jobs(part, jobs, self._submit, tolerant=tolerant)
        done = iter(zip(jobs, rows, strict=True))
        by_part = [[next(done) for _ in part] for part in parts]
        return [next((rows for _, rows in pairs if isinstance(rows, TributeError)), pairs) for pairs in by_part]

    def _parts(
        self, run: SimulationRun, units: Sequence[Unit], tolerant: bool
    ) -> list[EstimateJob] | TributeError:
        try:
            with named(run.settings.mode):
                return self._jobs(run, units)
        except TributeError as error:
            if not tolerant:
                raise
            return error

    def _replicates_of(self, run: SimulationRun) -> list[Replicate]:
        """All replicates; only the first for an estimator that ignores the model, unless it is paid by."""
        paid_by = run.name == "simulated"
        alike = not paid_by and is_model_free(run.settings)
        return self._replicates[:1] if alike else self._replicates

    def influence(
        self, run: SimulationRun, responses: Sequence[Simulated], queries: QueryTable
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Influence of units, [R, Q, U], in the estimator's unit; and the model's measurements, [Q] nats."""
        rows, jobs = self._workers.put(QueryRows.of(queries)), self._influence_jobs(run, responses)
        pieces = self._context.run_jobs(
            f"read-outs by {run.settings.mode}",
            jobs,
            lambda actor, job: actor.influence.remote(rows, job),
        )
        influence_RQU = [
            np.concatenate(
                [
                    influence_QU
                    for job, (influence_QU, _) in zip(jobs, pieces, strict=True)
                    if job.replicate is replicate
                ],
                axis=1,
            )
            for replicate in self._replicates_of(run)
        ]
        return np.stack(influence_RQU), pieces[0][1]

    def costs(self, run: SimulationRun, responses: Sequence[Simulated], queries: QueryTable) -> Costs:
        """Cost of preparing the first replicate, and of a query, both for all units."""
        count = len(queries.query_ids)
        probe, few = (
            QueryRows.of(queries.take(range(min(limit, count)))) for limit in (FORWARD_QUERIES, TIMED_QUERIES)
        )
        jobs = [job for job in self._influence_jobs(run, responses) if job.replicate is self._replicates[0]]
        timed = self._context.run_jobs(
            f"timed read-outs by {run.settings.mode}",
            jobs,
            lambda actor, job: actor.estimate_costs.remote(probe, few, job),
        )
        rows_files = [job.file.with_suffix(".json") for job in jobs]
        rows_files.append(self._job(run, self._replicates[0], ()).rows_file)
        prepared = sum(float(json.loads(path.read_text())["seconds"]) for path in rows_files)
        training = float(np.median([cost["training_seconds"] for cost in timed])) * self._further()
        return Costs(
            prepared / max(training, 1e-9),
            sum(cost["query_in_forwards"] for cost in timed),
        )

    def _recipe(self) -> Recipe:
        project = self._context.project
        return Recipe(project.task, project.training, self._workers.data, self._replicates[0].seed)

    def _further(self) -> float:
        """The training that costs are counted in, a checkpoint's further one, over that of `training`."""
        project = self._context.project
        continued = project.training.repetition == "continued"
        return project.simulation.steps / self._recipe().steps if continued else 1.0

    def _submit(self, actor: Any, job: EstimateJob) -> Any:
        return actor.estimate.remote(job)

    def _jobs(self, run: SimulationRun, units: Sequence[Unit]) -> list[EstimateJob]:
        ranked = sorted(units, key=lambda unit: unit.unit_id)
        trained = Trained(self._recipe(), self._replicates[0].trajectory, self._replicates[0].steps)
        cut = chunks(len(ranked), largest_part(run.settings, trained))
        return [
            self._job(run, replicate, tuple(ranked[u] for u in chosen))
            for replicate in self._replicates_of(run)
            for chosen in cut
        ]

    def _job(self, run: SimulationRun, replicate: Replicate, units: tuple[Unit, ...]) -> EstimateJob:
        folder = self._context.folder(run.run_id) / f"replicate-{replicate.index}"
        digest = run_id("units", [[unit.unit_id, *unit.removed] for unit in units])
        name, recording = digest if units else FIT, self._context.recording(replicate.index)
        return EstimateJob(name, units, folder, replicate, run.settings, recording)

    def _influence_jobs(self, run: SimulationRun, responses: Sequence[Simulated]) -> list[InfluenceJob]:
        """One job for every gathered file, in the order of its units."""
        jobs = []
        for replicate in self._replicates_of(run):
            files = [response.files[replicate.index] for response in responses]
            counted = dict[Any, int]()
            for file in files:
                assert file is not None
                counted[file.path, file.sha256] = counted.get((file.path, file.sha256), 0) + 1
            jobs += [
                InfluenceJob(
                    replicate, run.settings, path, sha256, count, self._context.recording(replicate.index)
                )
                for (path, sha256), count in counted.items()
            ]
        return jobs
