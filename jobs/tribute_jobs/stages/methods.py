"""The methods that an evaluation compares: read-outs of the simulation, other estimators, and baselines.

Legend: R replicates, Q scored queries, T tuning queries, U units, S sources, d features.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import SimulationRun, estimator_runs, recorded_replicates, simulated_responses
from tribute.config import Project
from tribute.config.model import NARROW
from tribute.errors import TributeError
from tribute.estimators import FITTED
from tribute.evaluation import EvaluationStudy, better_estimate_warning, guesses, unseen
from tribute.evaluation.figures import MethodFigures
from tribute.evaluation.records import method_figures
from tribute.readout import METHODS, Passes, QueryRows, fit_head, query_features
from tribute.simulation import Simulated, change_matrix, leave_one_out_units
from tribute.training import build_model
from tribute_jobs.context import Context
from tribute_jobs.stages.main_run import MainRun
from tribute_jobs.stages.simulate import Simulations

Responses = tuple[SimulationRun, list[Simulated]]


class Spent(NamedTuple):
    """Costs of a method: preparation in trainings, a query in forward passes, bytes that are kept for queries."""

    prepared: float
    query: float
    stored: int


def stored_bytes(responses: Sequence[Simulated], replicates: int | None = None) -> int:
    """Bytes of the responses, and of what an estimator was fitted to, in the first replicates (None: in all)."""
    paths = {file.path for response in responses for file in response.files[:replicates] if file is not None}
    paths |= {path.parent / FITTED for path in paths}
    return sum(path.stat().st_size for path in paths if path.exists())


def titled(method: str, replicates: int) -> str:
    """A method as the certificate names it."""
    return f"{method}, {replicates} replicate{'s' if replicates > 1 else ''}"


def described(mode: str, keys: Mapping[str, Any]) -> str:
    """An estimate of `valuation.estimates`, with what it says of its own: `ekfac, damping 0.1`."""
    own = {name: value for name, value in keys.items() if name not in ("mode", "options")}
    return ", ".join([mode, *(f"{name} {value}" for name, value in (own | keys.get("options", {})).items())])


def more_trainings(project: Project, budget: int) -> str | None:
    """How values learn more of an estimate that they weigh; None: semivalues, which trainings cannot tell."""
    if not project.trains_without_sources:
        return None
    line = project.valuation.line(precision=None, budget=budget)
    return f"The values weigh it already. More trainings tell how far: {line}"


def unweighed(project: Project, method: str) -> str:
    """How values learn of an estimator that they do not weigh yet."""
    if project.simulation.notion != "leave_one_out":
        return (
            f"Semivalues weigh no estimate. To pay by it, write attribution: {{method: {method}}}, and no notion"
        )
    line = project.valuation.line(estimates=[*project.weighed_estimates, {"mode": method}])
    return f"Let the values weigh it: {line}"


class OtherEstimators:
    """The estimators that an evaluation compares with the one that is paid by.

    An estimator that fails is left out with a warning: the scores of the others do not depend on it.
    """

    def __init__(self, context: Context, main: MainRun) -> None:
        self._context, self._main = context, main
        self.warnings = list[str]()
        self.runs = self._fitted()

    def _fitted(self) -> list[Responses]:
        """Fit each estimator and try it on one query, before hours of retraining."""
        context, fitted = self._context, list[Responses]()
        runs = estimator_runs(context.project)
        missing = [run for run in runs if not context.committed("simulations", run.run_id)]
        units = leave_one_out_units(self._main.source_ids)
        errors = Simulations(context).estimate(missing, units, tolerant=True)
        query = self._main.queries.take([0])
        for run in runs:
            try:
                if run.run_id in errors:
                    raise errors[run.run_id]
                responses = simulated_responses(context.project, run.run_id)
                self._main.read_outs.influence(run, responses, query)
                fitted.append((run, responses))
            except TributeError as error:
                self.leave_out(run, error)
        return fitted

    def leave_out(self, run: SimulationRun, error: TributeError) -> None:
        """Warn that an estimator failed."""
        self.warnings.append(f"{run.name} was not evaluated: {error}")
        self._context.reporter.warned(self.warnings[-1])


class MethodRows:
    """Rows of the certificate: the scores and the costs of every method.

    ``warnings``: the methods that are better than the values paid by.

    Args:
        paid_U: values of the units that are paid by, [U] nats.
        trainings: how many trainings without sources these learnt from.
    """

    def __init__(
        self,
        main: MainRun,
        others: OtherEstimators,
        study: EvaluationStudy,
        paid_U: NDArray[np.float64],
        trainings: int,
    ) -> None:
        self._main, self._others, self._study, self._paid_U = main, others, study, paid_U
        self.warnings = list[str]()
        self._more_trainings = more_trainings(main.context.project, max(2 * trainings, len(main.source_ids)))

    def rows(self) -> list[MethodFigures]:
        """The simulation by every read-out (or the estimator that is paid by), other estimators, baselines."""
        main = self._main
        estimated = main.run.settings.estimated
        more = self._more_trainings
        paid = [self._estimator(main.run, main.responses, more)] if estimated else self._read_outs()
        weighed = list(self._weighed({row.method for row in paid}))
        others = []
        for run, responses in self._others.runs:
            if weighed and {"mode": run.settings.mode} in main.context.project.weighed_estimates:
                continue  # it has a row among the weighed ones
            try:
                others.append(self._estimator(run, responses, unweighed(main.context.project, run.settings.mode)))
            except TributeError as error:
                self._others.leave_out(run, error)
        return [*paid, *weighed, *others, *self._baselines()]

    def _weighed(self, known: set[str]) -> Iterator[MethodFigures]:
        """The further estimates of the values, each with its own options, but none under a known title.

        Semivalues weigh none.
        """
        main = self._main
        for keys, (run, responses) in zip(main.context.project.weighed_estimates, main.all_runs[1:], strict=False):
            influence_RQU = main.read_outs.influence(run, responses, main.queries)[0]
            title = titled(described(run.settings.mode, keys), len(influence_RQU))
            if title in known:
                continue
            known.add(title)
            query = len(influence_RQU) * main.query_cost(run, responses)
            costs = Spent(main.prepared_by(run, responses), query, stored_bytes(responses))
            estimate_QU, unseen_QU = main.mean(influence_RQU), main.mean(unseen(influence_RQU))
            yield self._compared(title, "estimator", estimate_QU, unseen_QU, costs, self._more_trainings)

    def _read_outs(self) -> list[MethodFigures]:
        """Every read-out of the simulation, and the distilled head."""
        main, scope = self._main, self._main.run.settings.scope
        names = [name for name in METHODS if name not in NARROW or not main.read_outs.whole(scope)]
        cost = main.read_outs.costs(main.run, main.responses, [*names, "distilled"], main.queries)
        rows = []
        for name in names:
            influence_RQU = main.read_outs.influence(main.run, main.responses, main.queries, name)[0]
            replicates = len(influence_RQU)
            for count in sorted({1, replicates}) if name == main.method else [replicates]:
                used = influence_RQU[:count]
                prepared, stored = main.prepared() * count / replicates, stored_bytes(main.responses, count)
                costs = Spent(prepared, count * cost[name], stored)
                paid_by = name == main.method and count == replicates
                estimates = main.mean(used), main.mean(unseen(used))
                remedy = self._more_trainings if paid_by else None
                rows.append(self._compared(titled(name, count), "readout", *estimates, costs, remedy))
        return [*rows, self._distilled(cost["distilled"])]

    def _distilled(self, cost: float) -> MethodFigures:
        """The distilled head, fitted to exact read-outs of the tuning queries, without correction."""
        main, project = self._main, self._main.context.project
        known_RTU = main.read_outs.influence(main.run, main.responses, main.tuning)[0]
        theta_P = recorded_replicates(project)[0].final()
        passes = Passes(build_model(project.task, project.training), theta_P)
        feature_Td, feature_Qd = (
            query_features(passes, QueryRows.of(table)) for table in (main.tuning, main.queries)
        )
        known = known_RTU, unseen(known_RTU)
        heads = [fit_head(feature_Td, main.mean(used)) for used in known]
        spent = Spent(main.prepared(), cost, heads[0].nbytes)
        head_QU, unseen_QU = (feature_Qd @ head_dU for head_dU in heads)
        return self._row("distilled, the head alone", "readout", head_QU, unseen_QU, spent)

    def _estimator(self, run: SimulationRun, responses: Sequence[Simulated], remedy: str | None) -> MethodFigures:
        """An estimator, averaged over its replicates."""
        main = self._main
        influence_RQS, _ = main.read_outs.influence(run, responses, main.queries)
        position = {name: index for index, name in enumerate(main.source_ids)}
        order = np.argsort([position[response.unit.unit_id] for response in responses])
        used = (influence_RQS, unseen(influence_RQS))
        estimate_QU, unseen_QU = (
            self._of_units(each_RQS.astype(np.float64).mean(0)[:, order]) for each_RQS in used
        )
        prepared, query = (len(influence_RQS) * cost for cost in main.costs(run, responses))
        title = titled(run.settings.mode, len(influence_RQS))
        spent = Spent(prepared, query, stored_bytes(responses))
        return self._compared(title, "estimator", estimate_QU, unseen_QU, spent, remedy)

    def _compared(
        self,
        title: str,
        kind: str,
        estimate_QU: NDArray[np.float64],
        unseen_QU: NDArray[np.float64],
        costs: Spent,
        remedy: str | None,
    ) -> MethodFigures:
        """The row of an estimate, and a warning if it is better than the values; without a remedy no warning."""
        row = self._row(title, kind, estimate_QU, unseen_QU, costs)
        if remedy is not None:
            improvement = self._study.improvement(self._paid_U, estimate_QU)
            estimated = self._study.misallocated(self._study.uses_Q @ estimate_QU)
            paid = self._study.misallocated(self._paid_U)
            self.warnings += better_estimate_warning(title, estimated, paid, improvement, remedy)
        return row

    def _baselines(self) -> list[MethodFigures]:
        main = self._main
        by_name = guesses(main.read_outs.workers.data, main.tokens_S, main.queries)
        guesses_QU = {name: self._of_units(guess_QS) for name, guess_QS in by_name.items()}
        free = Spent(0.0, 0.0, 0)
        return [self._row(name, "baseline", each, each, free) for name, each in guesses_QU.items()]

    def _of_units(self, influence_QS: NDArray[np.float64]) -> NDArray[np.float64]:
        """Influence of sources added up to units, [Q, U]."""
        return np.asarray(influence_QS @ change_matrix(self._main.units, influence_QS.shape[1]).T)

    def _row(
        self,
        method: str,
        kind: str,
        influence_QU: NDArray[np.float64],
        unseen_QU: NDArray[np.float64],
        costs: Spent,
    ) -> MethodFigures:
        return method_figures(method, kind, self._study.score(influence_QU, unseen_QU), *costs)
