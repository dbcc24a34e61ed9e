"""The simulation that a project pays by, on the queries of an evaluation.

Half of the queries tune (values, the distilled head); the scores come from the other half.

Legend: R replicates, Q scored queries, T tuning queries, U units (sources, or groups of sources), S sources,
P payees.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import (
    MeasuredTraining,
    SimulationRun,
    corpus_learnt_tokens,
    customer_cap,
    payees,
    recorded_replicates,
    simulated_responses,
    simulation_runs,
    trainings_of_units,
)
from tribute.cluster import PatchJob, chunks
from tribute.corpus import QueryTable
from tribute.estimators import is_model_free
from tribute.evaluation import removal
from tribute.evaluation.figures import TailPatchFigures
from tribute.readout import QueryRows
from tribute.simulation import Simulated, Unit, change_matrix, design_of, leave_one_out_units
from tribute.training.recording import read_recording
from tribute.valuation import Estimates, SourceSums, SourceValues, query_groups, query_uses, source_values
from tribute_jobs.compute.estimators import Costs
from tribute_jobs.compute.measurements import measured
from tribute_jobs.compute.readouts import ReadOuts
from tribute_jobs.compute.retrains import Retrains
from tribute_jobs.context import Context
from tribute_storage import open_tables

Array = NDArray[np.float64]
SOURCES = 16
"""Sources patched by one job."""


class MainRun:
    """The main simulation of a project: its units, its payees, and its influence on the scored queries.

    ``all_runs``: the simulation, then the further estimates that values weigh, as in `valuation.estimates`.

    Args:
        queries: the queries of the evaluation, both halves.
    """

    def __init__(self, context: Context, period: str, queries: QueryTable) -> None:
        self.context, self.read_outs = context, ReadOuts(context)
        project, self.source_ids = context.project, context.source_ids()
        even = query_groups(queries.query_ids) % 2 == 0
        self.tuning, self.queries = (queries.take(np.flatnonzero(part).tolist()) for part in (even, ~even))
        self.all_runs = [(run, simulated_responses(project, run.run_id)) for run in simulation_runs(project)]
        self.run, self.responses = self.all_runs[0]
        units, notion = [response.unit for response in self.responses], self.run.settings.notion
        self.tokens_S = np.array([source.tokens for source in context.manifest().sources], dtype=np.float64)
        failed = [response.failed for response in self.responses]
        self._design = design_of(notion, units, self.tokens_S, failed)
        self.grouped = notion == "leave_one_out" and len(units) < len(self.source_ids)
        self.units = units if self.grouped else leave_one_out_units(self.source_ids)
        self.member_SU = change_matrix(self.units, len(self.source_ids)).T.astype(np.float64)
        self.payee_ids, self.split_UP = self._payees(period)
        self._cap, self._costs = customer_cap(project), dict[str, Costs]()
        self.uses_Q = query_uses(self.queries, self._cap)

    def _payees(self, period: str) -> tuple[Sequence[str], Array]:
        """Publishers with their part of every unit, [U, P]; groups of sources are payees themselves."""
        if self.grouped:
            return [unit.unit_id for unit in self.units], np.eye(len(self.units))
        return payees(self.context.project, period)

    @cached_property
    def influence_RQU(self) -> NDArray[np.float32]:
        """Influence of the simulated units on the scored queries, nats; NaN where a simulation failed."""
        return self.read_outs.influence(self.run, self.responses, self.queries)[0]

    @cached_property
    def method(self) -> str:
        """The read-out method that the project pays by."""
        return self.read_outs.method(self.run, self.responses, self.queries)

    @property
    def replicates(self) -> int:
        """Replicates in `influence_RQU`."""
        return len(self.influence_RQU)

    def mean(self, influence_RQU: NDArray) -> Array:
        """Mean over replicates, [Q, U] nats, of groups as they are, else of sources. A failure counts 0."""
        read = [q if self.grouped else self._design.influence(q) for q in influence_RQU.astype(np.float64)]
        counted_QU = np.isfinite(read).sum(0).clip(1)
        return np.asarray(np.nan_to_num(read).sum(0) / counted_QU)

    def unit(self, chosen: Sequence[int]) -> Unit:
        """The unit that removes a set of units together."""
        return removal([source for unit in chosen for source in self.units[unit].removed], self.source_ids)

    def values(self, retrains: Retrains, trainings: Sequence[MeasuredTraining]) -> SourceValues:
        """The values that the project would pay by if the scored queries were the month.

        Args:
            trainings: those that the month's valuation learnt from.
        """
        project = self.context.project
        read = [self._design.influence(q) for q in self.influence_RQU.astype(np.float64)]
        sums = SourceSums.of_queries(self.source_ids, np.stack(read), self.queries, self._cap)
        total_U = self.uses_Q @ self.influence_RQU.mean(0, dtype=np.float64)
        sums = sums._replace(coalitions_PS=self._design.sampling_errors(total_U))
        with open_tables(project.lake_root, "corpus_sources", "learning") as connection:
            learnt_S = corpus_learnt_tokens(connection, self.context.runs.corpus_run, self.context.runs.train_run)
        return source_values(project.valuation, sums, learnt_S, self._estimates(retrains, trainings))

    def _estimates(self, retrains: Retrains, trainings: Sequence[MeasuredTraining]) -> Estimates | None:
        """What the tuning queries say of the units; None for semivalues."""
        if self.run.settings.notion != "leave_one_out":
            return None
        uses_T, totals = query_uses(self.tuning, self._cap), dict[str, Array]()
        for run, responses in (*self.all_runs[1:], self.all_runs[0]):
            read_RTU = self.read_outs.influence(run, responses, self.tuning)[0].astype(np.float64)
            totals[run.name] = np.einsum("t,rtu->ru", uses_T, read_RTU)
        units = [response.unit for response in self.responses]
        member_US = change_matrix(units, len(self.tokens_S)).astype(np.float64)
        known = trainings_of_units(measured(retrains, trainings, self.tuning, uses_T), self.source_ids, member_US)
        seeds = tuple(each.seed for each in recorded_replicates(self.context.project))
        unit_ids, uses = tuple(unit.unit_id for unit in units), float(uses_T.sum())
        return Estimates("tuning", totals, unit_ids, member_US, known, seeds, uses, shared=False)

    def prepared(self) -> float:
        """Cost of the simulation in trainings."""
        return self.prepared_by(self.run, self.responses)

    def prepared_by(self, run: SimulationRun, responses: Sequence[Simulated]) -> float:
        """Cost of a simulation in trainings: an upper limit, for the trajectories of a chunk share work."""
        settings = run.settings
        if settings.estimated:
            alike = run is not self.run and is_model_free(settings)
            return self.costs(run, responses).prepare_in_trainings * (1 if alike else self.replicates)
        first = recorded_replicates(self.context.project)[0]
        steps = settings.steps if settings.base == "continue" else first.steps * settings.horizon
        training = first.steps or self.context.project.simulation.steps  # of a checkpoint, its further training
        return float((1 + len(responses)) * steps / training * self.replicates)

    def query_cost(self, run: SimulationRun, responses: Sequence[Simulated]) -> float:
        """Cost of a query in one replicate, in forward passes."""
        if run.settings.estimated:
            return self.costs(run, responses).query_in_forwards
        method = self.read_outs.method(run, responses, self.queries)
        return self.read_outs.costs(run, responses, [method], self.queries)[method]

    def costs(self, run: SimulationRun, responses: Sequence[Simulated]) -> Costs:
        """The cost of an estimator, timed once."""
        if run.run_id not in self._costs:
            self._costs[run.run_id] = self.read_outs.estimators.costs(run, responses, self.queries)
        return self._costs[run.run_id]

    def tail_patch(self) -> TailPatchFigures | None:
        """Gain of a query from one training step on a source, nats: its top source, any, and the largest source.

        None for groups of sources, for a checkpoint, which has no state of an optimizer, and for a recording of
        several parameter groups, which have no mean rate.
        """
        recording = self.context.recording(0)
        several = recording is not None and read_recording(recording).groups
        if self.grouped or several or self.context.project.training.checkpoint:
            return None
        first, workers = recorded_replicates(self.context.project)[0], self.read_outs.workers
        first.verify()
        rows = workers.put(QueryRows.of(self.queries))
        pieces = self.context.run_jobs(
            "tail patches",
            [
                PatchJob(first.seed, first.trajectory, first.steps, chosen, recording)
                for chosen in chunks(len(self.units), SOURCES)
            ],
            lambda actor, job: actor.patch.remote(rows, job),
        )
        gain_QU, top_Q = np.concatenate(pieces, axis=1), self.mean(self.influence_RQU).argmax(1)
        return TailPatchFigures(
            top=float(gain_QU[np.arange(len(gain_QU)), top_Q].mean()),
            mean=float(gain_QU.mean()),
            token_count=float(gain_QU[:, int(self.tokens_S.argmax())].mean()),
        )
