"""Estimates of the figure queries from the project's responses, and how each is judged.

Legend: R replicates, Q figure queries, T tuning queries, U units, S sources, P payees, G groups of queries.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import SimulationRun, customer_cap, payees, recorded_replicates
from tribute.cluster import PatchJob, chunks
from tribute.corpus import QueryTable
from tribute.errors import TributeError
from tribute.evaluation import Truth, guesses, judged_influence, misallocated, payee_intervals, pool_figures, row
from tribute.readout import METHODS, QueryRows, fit_head, query_features
from tribute.simulation import Design, Simulated, change_matrix, leave_one_out_units
from tribute.tasks import build_task
from tribute.valuation import Estimates, SourceSums, interval, query_uses, source_values
from tribute_jobs.context import Context
from tribute_jobs.stages.estimate import Costs
from tribute_jobs.stages.readouts import ReadOuts

Array = NDArray[np.float64]
MAIN = "simulated"
SOURCES = 16
"""Sources patched by one job."""


class Judging:
    """Two halves of the queries, one to tune and one to judge, and what every method says of the latter."""

    def __init__(
        self,
        context: Context,
        read_outs: ReadOuts,
        runs: Sequence[tuple[SimulationRun, list[Simulated]]],
        others: Sequence[tuple[SimulationRun, list[Simulated]]],
        design: Design,
        grouped: bool,
        period: str,
        tuning: QueryTable,
        queries: QueryTable,
    ) -> None:
        self.context, self.project, self._read_outs = context, context.project, read_outs
        self._runs, self._others, self._design = runs, others, design
        self._grouped, self._period = grouped, period
        self._tuning, self.queries, self.left_out = tuning, queries, list[str]()
        run, found = runs[0]
        self._method = read_outs.method(run, found, queries)
        self._tokens_S = np.array([source.tokens for source in context.manifest().sources], dtype=np.float64)
        self._settings, self._timed = context.project.evaluation, dict[str, Costs]()

    @cached_property
    def _units(self) -> list[Any]:
        found = [each.unit for each in self._runs[0][1]]
        return found if self._grouped else leave_one_out_units(self.context.source_ids())

    @cached_property
    def _influence_RQU(self) -> NDArray[np.float32]:
        """What is paid by, of the figure queries."""
        run, found = self._runs[0]
        return self._read_outs.influence(run, found, self.queries)[0]

    def mean_influence(self) -> Array:
        """Mean over replicates of the units' influences on the figure queries, [Q, U] nats."""
        return self._mean(self._influence_RQU)

    def _mean(self, influence_RQU: NDArray) -> Array:
        """Of groups as they are, else of sources; a failed simulation says nothing, 0."""
        each = [q if self._grouped else self._design.influence(q) for q in influence_RQU.astype(np.float64)]
        counted_QU = np.isfinite(each).sum(0).clip(1)
        return np.asarray(np.nan_to_num(each).sum(0) / counted_QU)

    def paid(self, truth: Truth) -> dict[str, Any]:
        """The values that the product pays by (calibrated on the tuning queries) on the figure queries."""
        names, split_UP = self._payees()
        values = source_values(
            self.project.valuation, self._sums(), self._tokens_S, self._estimates(), self.project.training.seed
        )
        member_SU = change_matrix(self._units, len(self._tokens_S)).T.astype(np.float64)
        split_SP, uses_Q = member_SU @ split_UP, self._uses(self.queries)
        truths_P = [np.nan_to_num(uses_Q @ one_QU) @ split_UP for one_QU in truth.one]
        value_P, tokens_P = values.value_S @ split_SP, self._tokens_S @ split_SP
        pool = pool_figures(value_P, tokens_P, truths_P)
        draws_NP = values.draws_NS @ split_SP
        shown = payee_intervals(names, value_P, draws_NP, np.mean(truths_P, 0), interval)
        covered = [each["low"] <= each["truth"] <= each["high"] for each in shown]
        prepared = self._prepared()
        paid = row(
            "tribute, as paid", "payment", {}, pool["misallocated_pool"], prepared + self._spot_trainings(), None
        )
        return {
            "period": self._period,
            "payees": len(names),
            "read_out": self._title(self._method, len(self._influence_RQU)),
            "queries": {
                "tuning": len(self._tuning.query_ids),
                "figures": len(self.queries.query_ids),
                "unlike_corpus": self._unlike(),
            },
            "headline": pool | {"coverage_95": float(np.mean(covered))},
            "intervals": shown,
            "warnings": self._warnings(pool, values.token_weight),
            "rows": [paid, row("equal", "baseline", {}, pool["equal"], 0.0, 0.0)],
        }

    def rows(self, truth: Truth) -> list[dict[str, Any]]:
        """What is paid by, other estimators, and simple guesses."""
        run, found = self._runs[0]
        own = [self._estimated(run, found, truth)] if run.settings.estimated else self._read_out_rows(truth)
        return [*own, *self._other_rows(truth), *self._guessed_rows(truth)]

    def _read_out_rows(self, truth: Truth) -> list[dict[str, Any]]:
        """Every read-out of the simulation, and the distilled head."""
        run, found = self._runs[0]
        names = [
            name for name in METHODS if name != "shared_trunk" or not self._read_outs.whole(run.settings.scope)
        ]
        cost = self._read_outs.costs(run, found, [*names, "distilled"], self.queries)
        rows = []
        for name in names:
            influence_RQU = self._read_outs.influence(run, found, self.queries, name)[0]
            counts = sorted({1, len(influence_RQU)}) if name == self._method else [len(influence_RQU)]
            for count in counts:
                prepared = self._prepared() * count / len(influence_RQU)
                title, estimate_QU = self._title(name, count), self._mean(influence_RQU[:count])
                rows.append(self._judged(title, "readout", estimate_QU, truth, prepared, count * cost[name]))
        return [*rows, self._distilled(truth, cost["distilled"])]

    def _other_rows(self, truth: Truth) -> list[dict[str, Any]]:
        """The other estimators; one that fails on these queries is told and left out."""
        rows = []
        for run, found in self._others:
            try:
                rows.append(self._estimated(run, found, truth))
            except TributeError as error:
                self.left_out.append(f"{run.name} is not judged: {error}")
                self.context.reporter.warned(self.left_out[-1])
        return rows

    def _guessed_rows(self, truth: Truth) -> list[dict[str, Any]]:
        guessed = guesses(self._read_outs.shards.examples(), self._tokens_S, self.queries)
        return [
            self._judged(
                name, "baseline", guess_QS @ change_matrix(self._units, guess_QS.shape[1]).T, truth, 0.0, 0.0
            )
            for name, guess_QS in guessed.items()
        ]

    def _title(self, method: str, replicates: int) -> str:
        return f"{method}, {replicates} replicate{'s' if replicates > 1 else ''}"

    def _judged(
        self, method: str, kind: str, influence_QU: Array, truth: Truth, prepared: float, cost: float
    ) -> dict[str, Any]:
        settings, (_, split_UP) = self._settings, self._payees()
        figures = judged_influence(influence_QU, truth, settings.resamples, self.project.training.seed)
        uses_Q = self._uses(self.queries)
        owed_P = np.nan_to_num(uses_Q @ truth.mean_QU) @ split_UP
        wrong = misallocated(uses_Q @ influence_QU @ split_UP, owed_P)
        return row(method, kind, figures, wrong, prepared, cost)

    def _estimated(self, run: SimulationRun, found: list[Simulated], truth: Truth) -> dict[str, Any]:
        """An estimator, the mean of all replicates."""
        influence_RQS, _ = self._read_outs.influence(run, found, self.queries)
        count, cost = len(influence_RQS), self._costs(run, found)
        estimate_QS = influence_RQS.astype(np.float64).mean(0)
        position = {name: index for index, name in enumerate(self.context.source_ids())}
        order = np.argsort([position[each.unit.unit_id] for each in found])
        estimate_QU = estimate_QS[:, order] @ change_matrix(self._units, len(order)).T
        prepared, query = (count * each for each in cost)
        title = self._title(run.settings.mode, count)
        return self._judged(title, "estimator", estimate_QU, truth, prepared, query)

    def _distilled(self, truth: Truth, cost: float) -> dict[str, Any]:
        """The head alone, fitted to exact read-outs of the tuning queries, without correction."""
        run, found = self._runs[0]
        known_TU = self._mean(self._read_outs.influence(run, found, self._tuning)[0])
        task = build_task(self.project.task)
        theta_P = recorded_replicates(self.project)[0].final()
        feature_Td, feature_Qd = (
            query_features(task, theta_P, QueryRows.of(table)) for table in (self._tuning, self.queries)
        )
        guess_QU = feature_Qd @ fit_head(feature_Td, known_TU)
        return self._judged("distilled, the head alone", "readout", guess_QU, truth, self._prepared(), cost)

    def _payees(self) -> tuple[Sequence[str], Array]:
        """Who is judged: publishers with their parts of the units, [U, P], or the groups themselves."""
        if self._grouped:
            return [unit.unit_id for unit in self._units], np.eye(len(self._units))
        return payees(self.project, self._period)

    def _sums(self) -> SourceSums:
        each = [self._design.influence(q) for q in self._influence_RQU.astype(np.float64)]
        return SourceSums.of_queries(
            self.context.source_ids(), np.stack(each), self.queries, customer_cap(self.project)
        )

    def _uses(self, queries: QueryTable) -> Array:
        return query_uses(queries, customer_cap(self.project))

    def _estimates(self) -> Estimates | None:
        """What calibration compares, of the tuning queries; None if nothing is retrained for it."""
        if len(self._runs) == 1:
            return None
        uses_T = self._uses(self._tuning)
        totals, position = {}, {each.unit.unit_id: u for u, each in enumerate(self._runs[0][1])}
        for run, found in self._runs:
            read_RTU = self._read_outs.influence(run, found, self._tuning)[0].astype(np.float64)
            totals[run.name] = np.full((len(read_RTU), len(position)), np.nan)
            own = [position[each.unit.unit_id] for each in found]
            totals[run.name][:, own] = np.einsum("t,rtu->ru", uses_T, read_RTU)
        member_US = change_matrix([each.unit for each in self._runs[0][1]], len(self._tokens_S))
        return Estimates("tuning", totals, tuple(position), member_US.astype(np.float64))

    def tail_patch(self, influence_QU: Array) -> dict[str, float] | None:
        """What a training step on a source gains: on the query's first source, any, and the largest."""
        if self._grouped:
            return None
        first, rows = recorded_replicates(self.project)[0], QueryRows.of(self.queries)
        state = first.trajectory.load(first.steps)
        shards = self._read_outs.shards
        arrays = shards.put([state.theta.numpy(), *(slot.numpy() for slot in state.slots)])
        table = shards.put(rows)
        pieces = shards.run(
            [PatchJob(first.seed, chosen) for chosen in chunks(len(self._units), SOURCES)],
            lambda actor, job: actor.patch.remote(shards.data, arrays, table, job),
        )
        gain_QU = np.concatenate(pieces, axis=1)
        top_Q = gain_QU[np.arange(len(gain_QU)), influence_QU.argmax(1)]
        largest_Q = gain_QU[:, int(self._tokens_S.argmax())]
        return {"top": float(top_Q.mean()), "mean": float(gain_QU.mean()), "token_count": float(largest_Q.mean())}

    def _prepared(self) -> float:
        """Trajectory-steps of the simulation in trainings: an upper limit, for stacks share work."""
        run, found = self._runs[0]
        if run.settings.estimated:
            return self._costs(run, found).prepare_in_trainings * len(self._influence_RQU)
        first = recorded_replicates(self.project)[0]
        steps = run.settings.steps if run.settings.base == "continue" else first.steps * run.settings.horizon
        return float((1 + len(found)) * steps / max(first.steps, 1) * len(self._influence_RQU))

    def _costs(self, run: SimulationRun, found: Sequence[Simulated]) -> Costs:
        """What an estimator costs, timed once."""
        if run.run_id not in self._timed:
            self._timed[run.run_id] = self._read_outs.estimations.costs(run, found, self.queries)
        return self._timed[run.run_id]

    def _spot_trainings(self) -> float:
        return float(sum(len(found) for run, found in self._runs if run.name == "retrained")) * len(
            self._influence_RQU
        )

    def _unlike(self) -> int:
        return int(self.context.familiarity().judge(self.queries).unlike_Q.sum())

    def _warnings(self, pool: dict[str, float | None], token_weight: float) -> list[str]:
        wrong, tokens = pool["misallocated_pool"], pool["token_count"]
        found = []
        if wrong is not None and tokens is not None and wrong > tokens:
            found.append(
                f"On these queries token counts misallocate less ({tokens:.1%}) than the values that are paid by "
                f"({wrong:.1%}); {token_weight:.0%} of the latter are token counts already."
            )
        if self._settings.seeds < 4:
            found.append(
                f"The truth comes from {self._settings.seeds} seed(s) of retraining and is noisy itself: see the "
                "ceiling. Raise evaluation.seeds for a sharper one."
            )
        return found
