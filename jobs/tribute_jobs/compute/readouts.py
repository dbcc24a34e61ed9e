"""Exact read-outs of a batch of queries on the cluster.

Legend: R replicates, Q queries, U units, N query rows, T positions of a row.
"""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import SimulationRun, recorded_replicates
from tribute.cluster import ReadOutJob
from tribute.cluster.readout import UnitFiles, joined_pieces, read_out_jobs
from tribute.corpus import QueryTable
from tribute.files.sealed import intact, write_sealed
from tribute.readout import QueryRows, candidates
from tribute.simulation import Simulated
from tribute.tasks import Scope
from tribute.training import build_model
from tribute_jobs.compute.estimators import EstimatorJobs
from tribute_jobs.context import Context

TIMED_QUERIES = 256
"""Queries on which methods are timed."""


class ReadOuts:
    """Read-outs of simulated units in every replicate of the project."""

    def __init__(self, context: Context) -> None:
        self.context, self.workers = context, context.workers()
        self.estimators = EstimatorJobs(context)
        self._scopes = dict[str, bool]()
        finals = [replicate.final().numpy() for replicate in recorded_replicates(context.project)]
        self.replicates = len(finals)
        self.first, self._thetas = self.workers.put(finals[0]), self.workers.put(finals)

    def influence(
        self, run: SimulationRun, responses: Sequence[Simulated], queries: QueryTable, method: str | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Influence of units, [R, Q, U], and the model's measurements, [Q]; nats.

        Estimators have their own read-out, and their own unit.

        Args:
            method: name of the read-out; None: see `method`.
        """
        if run.settings.estimated:
            return self.estimators.influence(run, responses, queries)
        rows = self.workers.put(QueryRows.of(queries))
        chosen = method or self.method(run, responses, queries)
        jobs = self._jobs(run, responses, chosen, queries)
        pieces = self.context.run_jobs(
            f"read-outs of {len(queries.query_ids):,} queries, {run.name}",
            [job for part in jobs for job in part],
            lambda actor, job: actor.read_out.remote(self._thetas, rows, job),
        )
        measured_Q = np.concatenate([measured for _, measured in pieces[: len(jobs[0])]])
        return joined_pieces(jobs, [influence for influence, _ in pieces]), measured_Q

    def by_token(
        self, run: SimulationRun, responses: Sequence[Simulated], queries: QueryTable, method: str
    ) -> NDArray[np.float32]:
        """Influence of units on every position of every row, [R, N, T, U] nats, by a method as in `influence`."""
        rows = self.workers.put(QueryRows.of(queries))
        jobs = self._jobs(run, responses, method, queries)
        pieces = self.context.run_jobs(
            f"read-outs of {len(queries.query_ids):,} queries by token",
            [job for part in jobs for job in part],
            lambda actor, job: actor.read_tokens.remote(self._thetas, rows, job),
        )
        return joined_pieces(jobs, pieces)

    def method(self, run: SimulationRun, responses: Sequence[Simulated], queries: QueryTable) -> str:
        """The read-out method of a run, according to `readout.method`.

        If several methods give the same numbers, it is the cheapest one on this machine. The choice is kept with
        the responses, so later batches use the same method.
        """
        if run.settings.estimated:
            return run.settings.mode
        names = candidates(self.context.project.readout, run.settings, self.whole(run.settings.scope))
        if len(names) == 1:
            return names[0]
        kept = self.context.folder(run.run_id) / f"readout-{'-'.join(names)}.json"
        if not intact(kept):
            cost = self.costs(run, responses, names, queries)
            best = min(names, key=cost.__getitem__)
            write_sealed(kept, json.dumps({"method": best, "cost_in_forwards": cost}).encode())
        return str(json.loads(kept.read_text())["method"])

    def costs(
        self, run: SimulationRun, responses: Sequence[Simulated], names: Sequence[str], queries: QueryTable
    ) -> dict[str, float]:
        """Cost of methods for all units in one replicate, in forward passes, timed on some of the queries."""
        probe = queries.take(range(min(TIMED_QUERIES, len(queries.query_ids))))
        rows, methods = self.workers.put(QueryRows.of(probe)), tuple(names)
        [cost] = self.context.run_jobs(
            "timed read-outs",
            [ReadOutJob(methods[0], run.settings.scope, _files(responses))],
            lambda actor, job: actor.costs.remote(self._thetas, rows, job, methods),
        )
        return dict(cost)

    def whole(self, scope: str) -> bool:
        """Whether all parameters of the model are in a scope."""
        if scope not in self._scopes:
            project = self.context.project
            self._scopes[scope] = Scope(build_model(project.task, project.training), scope).complete
        return self._scopes[scope]

    def _jobs(
        self, run: SimulationRun, responses: Sequence[Simulated], method: str, queries: QueryTable
    ) -> list[list[ReadOutJob]]:
        scope, count = run.settings.scope, len(queries.query_ids)
        return read_out_jobs(method, scope, _files(responses), count, narrow=not self.whole(scope))


def _files(responses: Sequence[Simulated]) -> tuple[UnitFiles, ...]:
    return tuple((each.unit.unit_id, each.files) for each in responses)
