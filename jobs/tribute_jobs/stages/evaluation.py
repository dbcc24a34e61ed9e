"""What a certificate says: every read-out, the values paid and simple guesses, judged by real retraining.

Tuning (calibration to spot retrains, the distilled head) sees one half of the queries, the figures come from the
other.

Legend: R replicates, Q figure queries, U units (sources, or groups of them), M sets, S sources, P payees.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import SimulationRun, estimator_run, run_id, simulated_responses, simulation_runs
from tribute.config import Project
from tribute.corpus import QueryTable
from tribute.errors import ConfigError, TributeError
from tribute.estimators import ESTIMATORS
from tribute.evaluation import Truth, first_units, random_sets, removal, set_matrix
from tribute.simulation import Simulated, Unit, design_of, leave_one_out_units
from tribute.valuation import query_groups
from tribute_jobs.context import Context
from tribute_jobs.stages.judging import Judging
from tribute_jobs.stages.readouts import ReadOuts
from tribute_jobs.stages.retrains import Retrains
from tribute_jobs.stages.simulate import Simulations
from tribute_storage import connect

PARTS = {"half": 0.5, "tenth": 0.1}
BRITTLE = (1, 2, 3)
"""How many of a query's first units are left out together."""
Array = NDArray[np.float64]
Sets = dict[str, list[tuple[int, ...]]]


def judged_estimators(project: Project) -> list[str]:
    """The estimators that `evaluation.estimators` asks for, but the one that is paid by.

    Raises:
        ConfigError: there is no such estimator.
    """
    asked = dict.fromkeys(filter(None, project.evaluation.estimators))
    unknown = [name for name in asked if name not in ESTIMATORS and name != "all"]
    if unknown:
        raise ConfigError(
            f"evaluation.estimators (--estimators) names {', '.join(map(repr, unknown))}, which is no estimator. "
            f"There are: all, {', '.join(ESTIMATORS)}"
        )
    names = list(ESTIMATORS) if "all" in asked else list(asked)
    return [name for name in names if name != project.simulation.mode]


def estimator_runs(project: Project) -> list[SimulationRun]:
    """What the estimators of `judged_estimators` come to; raises what that raises."""
    runs = [estimator_run(project, name) for name in judged_estimators(project)]
    return [_once(run) if ESTIMATORS[run.name].model_free else run for run in runs]


def _once(run: SimulationRun) -> SimulationRun:
    """A run of one replicate, with an id of its own: paid by, the same estimator has rows of every one."""
    return replace(run, run_id=run_id("simulate", run.run_id, "one replicate"))


def check_retrains(context: Context) -> None:
    """Beside an estimator nothing is grouped: refuse to retrain without each of more sources than `groups`.

    Raises:
        ConfigError: there are more; says how many trainings that would be.
    """
    settings, sources = context.project.simulation, len(context.source_ids())
    trainings = sources * (1 + context.project.evaluation.seeds)
    if settings.estimated and sources > settings.groups:
        raise ConfigError(
            f"evaluate would retrain without each of {sources} sources, {trainings} trainings in all. If that is "
            f"meant, raise simulation.groups ({settings.groups}) to {sources}; else judge {settings.mode} beside "
            f"groups of sources: simulation.mode paired and --estimators {settings.mode}"
        )


class Evaluation:
    """The retrains that an evaluation needs, and all that they say of the project's simulation."""

    def __init__(self, context: Context, period: str, queries: QueryTable) -> None:
        self.context, self.project = context, context.project
        self.retrains, self.names = Retrains(context), context.source_ids()
        project, tokens = context.project, [source.tokens for source in context.manifest().sources]
        runs = [(run, simulated_responses(project, run.run_id)) for run in simulation_runs(project)]
        run, found = runs[0]
        units, failed = [each.unit for each in found], [each.failed for each in found]
        design = design_of(run.settings.notion, units, np.array(tokens, dtype=np.float64), failed)
        grouped = run.settings.notion == "leave_one_out" and len(found) < len(self.names)
        self.units = units if grouped else leave_one_out_units(self.names)
        self.tokens_U = np.array([sum(tokens[s] for s in unit.removed) for unit in self.units], dtype=np.float64)
        self.own = project.training.seed
        first = self.own + project.evaluation.first_seed
        self.others = [first + index for index in range(project.evaluation.seeds)]
        even = query_groups(queries.query_ids) % 2 == 0
        halves = [queries.take(np.flatnonzero(part).tolist()) for part in (even, ~even)]
        read_outs, self._left_out = ReadOuts(context), list[str]()
        others = self._estimated(read_outs, halves[1].take([0]))
        self.judging = Judging(context, read_outs, runs, others, design, grouped, period, *halves)

    def _estimated(self, read_outs: ReadOuts, one: QueryTable) -> list[tuple[SimulationRun, list[Simulated]]]:
        """The other estimators of every single source, each tried on a query before anything is retrained.

        One that fails is told and left out: the certificate of what is paid by does not depend on it.
        """
        runs, found = estimator_runs(self.project), []
        missing = [run for run in runs if not self.context.committed("simulations", run.run_id)]
        failed = Simulations(self.context).estimate(missing, leave_one_out_units(self.names), tolerant=True)
        for run in runs:
            try:
                if run.run_id in failed:
                    raise failed[run.run_id]
                responses = simulated_responses(self.project, run.run_id)
                read_outs.influence(run, responses, one)
                found.append((run, responses))
            except TributeError as error:
                self._left_out.append(f"{run.name} is not judged: {error}")
                self.context.reporter.warned(self._left_out[-1])
        return found

    def figures(self) -> dict[str, Any]:
        """All figures of the certificate but its id."""
        influence_QU, count = self.judging.mean_influence(), len(self.units)
        most = self.project.evaluation.subsets
        sets = {name: random_sets(count, part, most, self.own) for name, part in PARTS.items()}
        by_query, by_size = self._brittle(influence_QU)
        self._retrain(sets, {chosen for each in by_query for chosen in each.values()} | set(by_size.values()))
        truth = self._truth(sets)
        paid, rows = self.judging.paid(truth), self.judging.rows(truth)
        return {
            **self._origin(),
            **paid,
            "warnings": [*paid["warnings"], *self._left_out, *self.judging.left_out],
            "rows": [*paid["rows"], *rows],
            "ceiling": truth.ceiling() | {"misallocated_pool": paid["headline"]["ceiling"]},
            "retrains": self._retrained(sets, by_query, by_size),
            "tail_patch": self.judging.tail_patch(influence_QU),
            "brittleness": self._brittleness(by_query, by_size),
            "effects": [] if self.project.simulation.estimated else self._effects(influence_QU, truth),
        }

    def _origin(self) -> dict[str, Any]:
        context = self.context
        with connect(context.lake.root) as connection:
            [(smoothness,)] = connection.execute(
                "select avg(smoothness) from simulations where run_id = $1", [context.runs.simulate_run]
            ).fetchall()
        return {
            "project": self.project.name,
            "simulate_run": context.runs.simulate_run,
            "train_run": context.runs.train_run,
            "corpus_run": context.runs.corpus_run,
            "parameters": int(self.retrains.final(self.own).numel()),
            "sources": len(self.names),
            "smoothness": smoothness,
            "software": {name: version(name) for name in ("tribute", "torch", "numpy", "ray")},
        }

    def _retrain(self, sets: Sets, brittle: set[tuple[int, ...]]) -> None:
        """Singles under all seeds, random sets under the model's own and one other, brittle sets under its own."""
        singles: list[tuple[int, ...]] = [(u,) for u in range(len(self.units))]
        drawn = [chosen for each in sets.values() for chosen in each]
        wanted = {seed: singles for seed in [self.own, *self.others]}
        wanted[self.own] = singles + drawn + sorted(brittle)
        wanted[self.others[0]] = singles + drawn
        self.retrains.complete({seed: [self._unit(chosen) for chosen in each] for seed, each in wanted.items()})

    def _unit(self, chosen: Sequence[int]) -> Unit:
        return removal([source for unit in chosen for source in self.units[unit].removed], self.names)

    def _lost(self, seed: int, sets: Sequence[Sequence[int]], queries: QueryTable) -> Array:
        return self.retrains.lost(seed, [self._unit(chosen) for chosen in sets], queries)

    def _truth(self, sets: Sets) -> Truth:
        """What was lost; sets whose training exploded under either seed are left out."""
        queries, singles = self.judging.queries, [(u,) for u in range(len(self.units))]
        drawn, lost = dict[str, NDArray[np.bool_]](), dict[tuple[str, str], Array]()
        for name, each in sets.items():
            pair = [self._lost(seed, each, queries) for seed in (self.own, self.others[0])]
            finite_M = np.isfinite(pair).all((0, 1))
            drawn[name] = set_matrix(each, len(self.units))[finite_M]
            lost |= {(name, whose): one[:, finite_M] for whose, one in zip(("same", "other"), pair, strict=True)}
        return Truth([np.nan_to_num(self._lost(seed, singles, queries)) for seed in self.others], drawn, lost)

    def _retrained(self, sets: Sets, by_query: list[Any], by_size: dict[int, Any]) -> dict[str, Any]:
        return {
            "seeds": self.others,
            "leave_one_out": len(self.units) * (1 + len(self.others)),
            **{name: 2 * len(each) for name, each in sets.items()},
            "other": len({chosen for each in [*by_query, by_size] for chosen in each.values()}),
            "banked": self.retrains.banked,
            "new": self.retrains.new,
        }

    def _brittle(self, influence_QU: Array) -> tuple[list[dict[int, tuple[int, ...]]], dict[int, tuple[int, ...]]]:
        """The first units, by count, of some queries, and the largest units."""
        counts = [count for count in BRITTLE if count <= len(self.units) // 2]
        by_query = [
            {count: first_units(influence_QU, query, count) for count in counts}
            for query in self._brittle_queries()
        ]
        return by_query, {count: first_units(self.tokens_U[None], 0, count) for count in counts}

    def _brittle_queries(self) -> list[int]:
        count = len(self.judging.queries.query_ids)
        chosen = np.linspace(0, count - 1, min(self.project.evaluation.brittle_queries, count))
        return np.unique(chosen.astype(int)).tolist()

    def _brittleness(
        self, by_query: list[dict[int, tuple[int, ...]]], by_size: dict[int, tuple[int, ...]]
    ) -> list[dict[str, Any]]:
        """What some queries really lose with their first units, and with the largest units; means over them."""
        if not by_query:
            return []
        queries = self.judging.queries.take(self._brittle_queries())
        found = []
        for count, largest in by_size.items():
            sets = [each[count] for each in by_query]
            lost_BM = self._lost(self.own, [*sets, largest], queries)
            found.append(
                {
                    "removed": count,
                    "attribution": float(np.diag(lost_BM).mean()),
                    "token_count": float(lost_BM[:, -1].mean()),
                }
            )
        return found

    def _effects(self, influence_QU: Array, truth: Truth) -> list[dict[str, Any]]:
        """Predicted and real loss of all figure queries together, of one unit and of halves."""
        half_QM, other_QM = influence_QU @ truth.sets["half"].T, truth.lost["half", "other"]
        pairs = [("one", influence_QU, truth.mean_QU), ("half", half_QM, other_QM)]
        return [
            {"removed": name, "predicted": float(one), "real": float(other)}
            for name, predicted, real in pairs
            for one, other in zip(predicted.sum(0), real.sum(0), strict=True)
        ]
