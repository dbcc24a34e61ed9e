"""The settings of MNIST: worlds, truth, and what every method says of the judged queries.

Legend: Q judged queries, T tuning queries, S sources, M removals, R replicates.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks import peers
from tests.benchmarks.estimates import CHOICES, TEN_MODELS, estimates
from tests.benchmarks.evaluation.kept import Kept, digest_of
from tests.benchmarks.evaluation.truth import Array, Costs, Truth
from tests.benchmarks.evaluation.versus import Scored, versus
from tests.benchmarks.mnist import write_mnist_project
from tests.benchmarks.simulation import removals
from tests.benchmarks.worlds import Ask, Found, World, answers
from tribute.evaluation import GroundTruth, guesses, misallocated
from tribute.readout import Passes, PerturbedModel, QueryRows, costs, fit_head, query_features
from tribute.tasks import Scope, joined
from tribute.valuation.terms import set_matrix

MNIST = ("thousand", "smooth", "rough")
OWN, TRUTH = range(3), range(1000, 1004)
LDS_SEEDS = 2
SETS = 50
SOURCES = (20, 200, 2000)
QUERIES, TUNING = range(4000, 5200), 1000
"""Test images: so many tune, the others judge."""
JUDGED = range(TUNING, len(QUERIES))
ROWS_TIMES_SOURCES = {"features": 480_000, "tokens": 4_000}
"""Evaluations by which the cost of a read-out is timed: a row of text costs hundreds of times as much."""
ONE = Ask("retrained", {"horizon": 1.0}, readouts=("difference", "jvp"))
LONG = Ask("paired 50%", {"horizon": 0.5})
SHORT = Ask("paired 20%", {"horizon": 0.2}, readouts=("difference", "jvp", "adjoint"))
HALF_WEIGHT = Ask(
    "paired 100% at half weights", {"horizon": 1.0, "weight": 0.5, "epsilon": 0.5}, readouts=("jvp",)
)
HEAD = Ask("paired 20%, scope head", {"horizon": 0.2, "scope": "head"}, readouts=("shared_trunk",))
RANKED = (
    "lds_half_other_seed",
    "lds_half_same_seed",
    "lds_tenth_other_seed",
    "lds_tenth_same_seed",
    "leave_source_out",
)


def world_of(setting: str, folder: Path) -> World:
    """A setting of MNIST; its first `TUNING` queries tune, the others judge."""
    if setting != "thousand":
        return World.of(write_mnist_project(folder, setting, 0.2, queries=QUERIES))
    return World.of(
        write_mnist_project(folder, "rough", 0.2, queries=QUERIES, examples=1000, epochs=50, split=32, skew=1.0)
    )


def judge(setting: str, world: World) -> dict[str, Any]:
    """The rows of tribute's own methods and of baselines; what the peers are judged by is kept."""
    sources, digest = len(world.tokens_S), _digest(world)
    asks = [SHORT, *([LONG] if setting == "thousand" else []), ONE, HEAD, HALF_WEIGHT]
    sets = {name: removals(sources, part, SETS) for name, part in (("half", 0.5), ("tenth", 0.1))}
    drawn = {name: Ask(name, {"horizon": 1.0, "chunk": 25}, units) for name, units in sets.items()}
    jobs = [(world.path, seed, asks + list(drawn.values()) * (seed == OWN[0])) for seed in OWN]
    jobs += [(world.path, seed, [ONE, *list(drawn.values()) * (seed < TRUTH[LDS_SEEDS])]) for seed in TRUTH]
    found = answers(jobs)
    own, other = found[: len(OWN)], found[len(OWN) :]
    ground = GroundTruth(
        [_judged(each[ONE.name].influence_QU) for each in other],
        {name: set_matrix([unit.removed for unit in units], sources) for name, units in sets.items()},
        {(name, "same"): _judged(own[0][name].influence_QU) for name in sets},
    )
    others = {name: [_judged(each[name].influence_QU) for each in other if name in each] for name in sets}
    # Costs by the number of sources do not depend on the training: one setting measures them.
    cost = query_costs(world, SOURCES if setting == "thousand" else ())
    rows = Rows(world, Truth(ground, others))
    rows.of_readouts(own, asks, cost[str(sources)])
    rows.add_distilled(own, cost["distilled"])
    # Of 5,000 examples ten models of TRAK take 450 trainings.
    choices = CHOICES + [TEN_MODELS] * (setting == "thousand")
    for method, each in estimates(world, OWN[0], choices, JUDGED).items():
        costs_of = Costs(each.trainings, each.forwards, each.stored_bytes)
        rows.add(method, "estimator", each.influence_QS.astype(np.float64), costs_of)
    Kept(rows.truth, rows.scored).write(world.path.parent, digest)
    rows.add_baselines()
    return {"rows": rows.lines, "ceiling": rows.truth.ceiling(), "cost_in_forwards": cost, "digest": digest}


def judge_peers(folder: Path, command: str) -> dict[str, Any]:
    """The rows of other libraries, by the truth that is kept.

    Args:
        command: the one that makes what is kept.
    """
    world = World(folder / "project.yaml")
    digest = _digest(world) if world.path.exists() else ""
    kept = Kept.read(folder, digest, command)
    rows = Rows(world, kept.truth)
    for each in peers.judge(world, world.finals(OWN[:1]), world.queries.take(JUDGED)):
        rows.add(each.method, "peer", each.influence_QS, Costs(*each[2:]))
    return {"rows": rows.lines, "versus": versus(kept.own, rows.scored), "digest": digest}


def _digest(world: World) -> str:
    return digest_of(world, OWN[0], (TRUTH, LDS_SEEDS, SETS, JUDGED))


def _judged(influence_QU: np.ndarray) -> Array:
    return influence_QU[TUNING:].astype(np.float64)


class Rows:
    """Lines of the table, as methods are added."""

    def __init__(self, world: World, truth: Truth) -> None:
        self._world, self.truth = world, truth
        self.lines: list[dict[str, Any]] = []
        self.scored: dict[str, Scored] = {}
        """By method, without baselines."""

    def add(self, method: str, kind: str, influence_QS: Array, spent: Costs) -> None:
        """Judge an estimate, [Q, S]."""
        self.lines.append(self.truth.row(method, kind, influence_QS, spent))
        if kind != "baseline":
            self.scored[method] = Scored(self.truth.lds_of_queries(influence_QS), spent)

    def of_readouts(
        self, own: Sequence[Mapping[str, Found]], asks: Sequence[Ask], cost: Mapping[str, float]
    ) -> None:
        """Every simulation by every read-out, with one and with all replicates."""
        for ask in asks:
            prepare, stored = _prepared(own, ask), own[0][ask.name].stored_bytes
            for name in ask.readouts:
                each_RQS = np.nan_to_num([_judged(found[ask.name].read[name]) for found in own])
                for count in (1, len(own)):
                    title = f"{name}, {ask.name}, {count} replicate{'s' * (count > 1)}"
                    spent = Costs(count * prepare, count * cost[name], count * stored)
                    self.add(title, "readout", each_RQS[:count].mean(0), spent)

    def add_distilled(self, own: Sequence[Mapping[str, Found]], cost: float) -> None:
        """The head alone: features of the first replicate's model, the mean of all replicates to learn from."""
        recipe = self._world.recipe(OWN[0])
        everything = torch.ones(len(self._world.tokens_S))
        theta_P = joined(recipe.run(recipe.initial(), range(recipe.steps), everything).theta)
        feature_Qd = query_features(Passes(recipe.task, theta_P), QueryRows.of(self._world.queries))
        known_QS = np.mean([each[SHORT.name].influence_QU for each in own], 0)
        head_dS = fit_head(feature_Qd[:TUNING], known_QS[:TUNING].astype(np.float64))
        guess_QS, real_QS = feature_Qd[TUNING:] @ head_dS, known_QS[TUNING:]
        spread = np.square(real_QS - real_QS.mean(0)).sum()
        title = f"distilled head, {SHORT.name}, {len(own)} replicates"
        self.add(title, "readout", guess_QS, Costs(len(own) * _prepared(own, SHORT), cost, head_dS.nbytes))
        self.lines[-1]["explained"] = 1 - float(np.square(real_QS - guess_QS).sum() / spread)

    def add_baselines(self) -> None:
        """What needs no model."""
        found = guesses(self._world.data, self._world.tokens_S, self._world.queries.take(JUDGED))
        for name, guess_QS in found.items():
            self.add(name, "baseline", guess_QS, Costs(0.0, 0.0, 0))
        wrong = misallocated(np.ones_like(self._world.tokens_S), self.truth.ground.mean_QU.sum(0))
        self.lines.append({"method": "equal", "kind": "baseline", "misallocated_pool": wrong})


def _prepared(own: Sequence[Mapping[str, Found]], ask: Ask) -> float:
    return float(np.median([each[ask.name].trainings for each in own]))


def query_costs(world: World, counts: Sequence[int]) -> dict[str, Any]:
    """Forward passes of a query in one replicate, by read-out, for the world's sources and other counts."""
    recipe = world.recipe(0)
    count_all = len(world.queries.query_ids)
    theta_P = joined(recipe.initial().theta)
    rows = world.queries.take(range(max(0, count_all - len(JUDGED)), count_all))
    whole, head = Scope(recipe.task, "all"), Scope(recipe.task, "head")
    found: dict[str, Any] = {}
    largest = ROWS_TIMES_SOURCES["tokens" if "tokens" in rows.rows else "features"]
    for count in sorted({len(world.tokens_S), *counts}):
        queries = QueryRows.of(rows.take(range(min(len(rows.query_ids), largest // count))))
        small = [1e-3 * torch.randn(count, scope.size) for scope in (whole, head)]
        each = costs(["difference", "jvp", "adjoint"], PerturbedModel(whole, theta_P, small[0]), queries, 4.0)
        found[str(count)] = each | costs(["shared_trunk"], PerturbedModel(head, theta_P, small[1]), queries, 4.0)
        small.clear()
    narrow = PerturbedModel(whole, theta_P, torch.zeros(1, whole.size))
    found["distilled"] = costs(["distilled"], narrow, QueryRows.of(world.queries), 4.0)["distilled"]
    return found
