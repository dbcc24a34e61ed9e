"""Every read-out and estimator and simple baselines, compared with real retraining: quality and cost.

- MNIST `thousand`: 1,000 examples of 20 label-skewed sources, MLP 784-128-64-10, ReLU, 50 epochs of SGD .02 with
  momentum .9; MNIST `smooth` and `rough` as in the benchmark `simulation`.
- Truth: retraining without every source, and without random halves and tenths of the sources, under the first own
  seed and under others, on queries that nothing was tuned on. The distilled head learns from other queries.
- The cost of a query by every exact read-out at 20, 200 and 2,000 sources.
- The demo's transformer: the result of `tribute evaluate`, and its time.
- Months of distilled read-outs (`distilled.py`).

Legend: Q figure queries, T tuning queries, S sources, M removals, R replicates.
"""

import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks import peers
from tests.benchmarks.distilled import judge_months
from tests.benchmarks.estimates import CHOICES, COMPARED, Estimate, estimates
from tests.benchmarks.front import front_plot
from tests.benchmarks.mnist import write_mnist_project
from tests.benchmarks.results import FOLDER, update_results
from tests.benchmarks.simulation import removals
from tests.benchmarks.spine import timed_run, tribute
from tests.benchmarks.versus import Scored, show_versus, versus
from tests.benchmarks.worlds import PERIOD, Ask, Found, World, answers
from tribute.evaluation import (
    GroundTruth,
    bootstrapped,
    guesses,
    misallocated,
    rank_correlation,
    seed_ceiling,
)
from tribute.evaluation.study import lds_scores
from tribute.readout import Passes, PerturbedModel, QueryRows, costs, fit_head, query_features
from tribute.tasks import Scope, joined
from tribute.valuation.terms import set_matrix
from tribute_jobs.stages.evaluate import read_certificate

Array = NDArray[np.float64]
OWN, TRUTH = range(3), range(1000, 1004)
LDS_SEEDS = 2
SETS = 50
SOURCES = (20, 200, 2000)
TUNING = 1000
RESAMPLES = 200
PEERS = slice(0, COMPARED)
"""Figure queries of the peers: some take a minute for ten of them."""
ROWS_TIMES_SOURCES = {"features": 480_000, "tokens": 4_000}
"""Evaluations by which the cost of a read-out is timed: a row of text costs hundreds of times as much."""
ONE = Ask("retrained", {"horizon": 1.0}, readouts=("difference", "jvp"))
LONG = Ask("paired 50%", {"horizon": 0.5})
SHORT = Ask("paired 20%", {"horizon": 0.2}, readouts=("difference", "jvp", "adjoint"))
HALF_WEIGHT = Ask(
    "paired 100% at half weights", {"horizon": 1.0, "weight": 0.5, "epsilon": 0.5}, readouts=("jvp",)
)
HEAD = Ask("paired 20%, scope head", {"horizon": 0.2, "scope": "head"}, readouts=("shared_trunk",))
SETTINGS = ("months", "thousand", "smooth", "rough", "transformer")
RANKED = (
    "lds_half_other_seed",
    "lds_half_same_seed",
    "lds_tenth_other_seed",
    "lds_tenth_same_seed",
    "leave_source_out",
)


def world_of(setting: str, folder: Path) -> World:
    """A setting of MNIST; its first `TUNING` queries tune, the others judge."""
    project, chosen = folder / setting, range(4000, 6000)
    if setting != "thousand":
        return World.of(write_mnist_project(project, setting, 0.2, queries=chosen))
    return World.of(
        write_mnist_project(project, "rough", 0.2, queries=chosen, examples=1000, epochs=50, split=32, skew=1.0)
    )


def judge(setting: str, world: World) -> dict[str, object]:
    """The rows of one setting."""
    sources = len(world.tokens_S)
    asks = [SHORT, *([LONG] if setting == "thousand" else []), ONE, HEAD, HALF_WEIGHT]
    sets = {name: removals(sources, part, SETS) for name, part in (("half", 0.5), ("tenth", 0.1))}
    drawn = {name: Ask(name, {"horizon": 1.0, "chunk": 25}, units) for name, units in sets.items()}
    jobs = [(world.path, seed, asks + list(drawn.values()) * (seed == OWN[0])) for seed in OWN]
    jobs += [(world.path, seed, [ONE, *list(drawn.values()) * (seed < TRUTH[LDS_SEEDS])]) for seed in TRUTH]
    found = answers(jobs)
    own, other = found[: len(OWN)], found[len(OWN) :]
    truth = GroundTruth(
        [each["retrained"].influence_QU[TUNING:].astype(np.float64) for each in other],
        {name: set_matrix([unit.removed for unit in units], sources) for name, units in sets.items()},
        {(name, "same"): own[0][name].influence_QU[TUNING:].astype(np.float64) for name in sets},
    )
    others = {
        name: [each[name].influence_QU[TUNING:].astype(np.float64) for each in other if name in each]
        for name in sets
    }
    cost = query_costs(world)
    table = Rows(world, truth, others)
    rows = table.of_readouts(own, asks, cost[str(sources)])
    rows += [table.distilled(own, cost["distilled"]), *table.of_estimators(estimates(world, OWN, CHOICES))]
    beside = {}
    if os.environ.get("PEERS") == "1":
        few = Rows(
            world, truth.subset(PEERS), {name: [each[PEERS] for each in seeds] for name, seeds in others.items()}
        )
        rows += few.of_peers(world.finals(OWN[:1]))
        beside = {"versus": versus(table.compared, few.compared)}
    rows += table.baselines()
    return {"rows": rows, "ceiling": table.ceiling(), "cost_in_forwards": cost} | beside


class Rows:
    """Lines of the table: estimates of the figure queries, judged."""

    def __init__(self, world: World, truth: GroundTruth, others: Mapping[str, Sequence[Array]]) -> None:
        self._world, self._truth, self._others = world, truth, others
        self.compared: dict[str, Scored] = {}
        """By method, on the queries of the peers; without baselines."""

    def of_readouts(
        self, own: list[dict[str, Found]], asks: Sequence[Ask], cost: dict[str, float]
    ) -> list[dict[str, object]]:
        """Every simulation by every read-out, with one and with all replicates."""
        rows = []
        for ask in asks:
            prepare = float(np.median([each[ask.name].trainings for each in own]))
            for name in ask.readouts:
                each_RQS = np.stack([e[ask.name].read[name][TUNING:] for e in own]).astype(np.float64)
                for count in (1, len(own)):
                    title = f"{name}, {ask.name}, {count} replicate{'s' * (count > 1)}"
                    mean_QS = np.nan_to_num(each_RQS[:count]).mean(0)
                    rows.append(self.row(title, "readout", mean_QS, count * prepare, count * cost[name]))
        return rows

    def of_estimators(self, own: list[dict[str, Estimate]]) -> list[dict[str, object]]:
        """Every estimator, with one and with all replicates."""
        rows = []
        for method, first in own[0].items():
            each = [found[method] for found in own if method in found]
            for count in sorted({1, len(each)}):
                title = f"{method}, {count} replicate{'s' * (count > 1)}"
                mean_QS = np.mean([e.influence_QS[TUNING:] for e in each[:count]], 0, dtype=np.float64)
                cost = (count * first.trainings, count * first.forwards)
                rows.append(self.row(title, "estimator", mean_QS, *cost))
        return rows

    def of_peers(self, thetas: list[torch.Tensor]) -> list[dict[str, object]]:
        """Methods of other libraries, on the same model and the first of the queries: they take minutes."""
        queries = self._world.queries.take(range(TUNING, TUNING + PEERS.stop))
        return [
            self.row(each.method, "peer", each.influence_QS, each.prepare_in_trainings, each.query_in_forwards)
            for each in peers.judge(self._world, thetas, queries)
        ]

    def distilled(self, own: list[dict[str, Found]], cost: float) -> dict[str, object]:
        """The head alone: features of the first replicate's model, the mean of all replicates to learn from."""
        recipe = self._world.recipe(OWN[0])
        everything = torch.ones(len(self._world.tokens_S))
        theta_P = joined(recipe.run(recipe.initial(), range(recipe.steps), everything).theta)
        feature_Qd = query_features(Passes(recipe.task, theta_P), QueryRows.of(self._world.queries))
        known_QS = np.mean([each[SHORT.name].influence_QU for each in own], 0)
        head_dS = fit_head(feature_Qd[:TUNING], known_QS[:TUNING].astype(np.float64))
        guess_QS, real_QS = feature_Qd[TUNING:] @ head_dS, known_QS[TUNING:]
        spread = np.square(real_QS - real_QS.mean(0)).sum()
        prepare = len(own) * float(np.median([each[SHORT.name].trainings for each in own]))
        title = f"distilled head, {SHORT.name}, {len(own)} replicates"
        found = self.row(title, "readout", guess_QS, prepare, cost)
        return found | {"explained": 1 - float(np.square(real_QS - guess_QS).sum() / spread)}

    def baselines(self) -> list[dict[str, object]]:
        """What needs no model."""
        queries = self._world.queries.take(range(TUNING, len(self._world.queries.query_ids)))
        found = guesses(self._world.data, self._world.tokens_S, queries)
        rows = [self.row(name, "baseline", guess_QS, 0.0, 0.0) for name, guess_QS in found.items()]
        ones_S = np.ones_like(self._world.tokens_S)
        wrong = misallocated(ones_S, self._truth.mean_QU.sum(0))
        return [*rows, {"method": "equal", "kind": "baseline", "misallocated_pool": wrong}]

    def row(self, method: str, kind: str, influence_QS: Array, prepare: float, cost: float) -> dict[str, object]:
        """One line: LDS and leave-source-out with 95% bootstrap intervals, the misallocated pool, costs."""
        figures = lds_scores(influence_QS, self._truth, RESAMPLES, 0)
        figures["leave_source_out"] = bootstrapped(influence_QS, self._truth.mean_QU, RESAMPLES, 0)
        for part, seeds in self._others.items():
            predicted_QM = influence_QS @ self._truth.sets[part].T
            stacked = [np.concatenate(pair) for pair in ([predicted_QM] * len(seeds), seeds)]
            figures[f"lds_{part}_other_seed"] = bootstrapped(*stacked, RESAMPLES, 0)
        if kind != "baseline":
            seeds = [each[PEERS] for each in self._others["half"]]
            scored = Scored.of(influence_QS[PEERS], self._truth.sets["half"], seeds, (prepare, cost))
            self.compared[method] = scored
        return {
            "method": method,
            "kind": kind,
            **{name: figure.value if figure else None for name, figure in figures.items()},
            "intervals": {name: [figure.low, figure.high] for name, figure in figures.items() if figure},
            "misallocated_pool": misallocated(influence_QS.sum(0), self._truth.mean_QU.sum(0)),
            "prepare_in_trainings": prepare,
            "query_in_forwards": cost,
        }

    def ceiling(self) -> dict[str, float | None]:
        """One retrain against another: own against other seeds for LDS, halves of the other seeds otherwise."""
        same_QM, others = self._truth.lost["half", "same"], self._others["half"]
        totals = [one_QS.sum(0) for one_QS in self._truth.leave_one_out]
        return {
            "lds_half_other_seed": float(np.mean([rank_correlation(same_QM, each) for each in others])),
            "leave_source_out": seed_ceiling(self._truth.leave_one_out, rank_correlation),
            "misallocated_pool": seed_ceiling(totals, misallocated),
        }


def query_costs(world: World) -> dict[str, object]:
    """Forward passes that a query takes in one replicate, by read-out and number of sources."""
    torch.set_num_threads(1)
    recipe = world.recipe(0)
    theta_P, rows = joined(recipe.initial().theta), world.queries.take(range(240))
    whole, head = Scope(recipe.task, "all"), Scope(recipe.task, "head")
    found: dict[str, object] = {}
    largest = ROWS_TIMES_SOURCES["tokens" if "tokens" in rows.rows else "features"]
    for count in sorted({len(world.tokens_S), *SOURCES}):
        queries = QueryRows.of(rows.take(range(min(240, largest // count))))
        small = [1e-3 * torch.randn(count, scope.size) for scope in (whole, head)]
        each = costs(["difference", "jvp", "adjoint"], PerturbedModel(whole, theta_P, small[0]), queries, 4.0)
        found[str(count)] = each | costs(["shared_trunk"], PerturbedModel(head, theta_P, small[1]), queries, 4.0)
        small.clear()
    narrow = PerturbedModel(whole, theta_P, torch.zeros(1, whole.size))
    found["distilled"] = costs(["distilled"], narrow, QueryRows.of(world.queries), 4.0)["distilled"]
    return found


def show(setting: str, result: dict[str, object]) -> None:
    """The table, and its picture next to the figures."""
    table = Table(title=setting, title_justify="left")
    names = ("LDS ½ other", "½ same", "⅒ other", "⅒ same", "LSO", "mis. pool", "prepare", "query")
    keys = (*RANKED, "misallocated_pool", "prepare_in_trainings", "query_in_forwards")
    for name in ("method", *names, "than tokens"):
        table.add_column(name, justify="left" if name == "method" else "right")
    rows: list[Mapping[str, Any]] = result["rows"]  # type: ignore[assignment]
    [tokens] = [row["misallocated_pool"] for row in rows if row["method"] == "token count"]
    for row in sorted(rows, key=lambda row: -(row.get("lds_half_other_seed") or 0.0)):
        cells = [row.get(key) for key in keys]
        worse = "worse" if row["misallocated_pool"] is not None and row["misallocated_pool"] > tokens else ""
        table.add_row(row["method"], *("–" if cell is None else f"{cell:.2f}" for cell in cells), worse)
    console = Console(width=180)
    console.print(table, "ceiling", result["ceiling"])
    console.print("cost in forward passes", result["cost_in_forwards"])
    if "versus" in result:
        show_versus(setting, result["versus"])  # type: ignore[arg-type]
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture = front_plot(rows, result["ceiling"]["lds_half_other_seed"])  # type: ignore[index]
    (FOLDER / f"evaluation-{setting}.svg").write_text(picture)


def judge_demo(folder: Path) -> dict[str, object]:
    """The result of `tribute evaluate` on the demo, its time, and its page."""
    path = folder / "project.yaml"
    timed_run([*tribute(), "demo", "--folder", str(path.parent), "--period", PERIOD])
    seconds, _ = timed_run([*tribute(), "evaluate", str(path), "--period", PERIOD, "--estimators", "all"])
    world, kept = World(path), path.parent / "tribute-data"
    [page] = (kept / "certificates").glob("*.html")
    said = read_certificate(kept / "lake", page.stem).model_dump()
    rows = [row | {name: row[name] and row[name]["value"] for name in RANKED} for row in said["rows"]]
    ceiling = {"lds_half_other_seed": said["ceiling"]["lds_half"], **said["ceiling"]}
    return {
        "rows": rows,
        "ceiling": ceiling,
        "cost_in_forwards": query_costs(world),
        "headline": said["headline"],
        "evaluate_seconds": seconds,
        "certificate": str(page),
    }


def main() -> None:
    """Each part that `SETTING` names (default: all), into build/bench/evaluation.json as soon as it is there."""
    asked = os.environ.get("SETTING", " ".join(SETTINGS)).split()
    if unknown := sorted(set(asked) - set(SETTINGS)):
        sys.exit(f"No SETTING {', '.join(unknown)}. There are: {', '.join(SETTINGS)}")
    folder = FOLDER / "evaluation"
    for name in asked:
        shutil.rmtree(folder / name, ignore_errors=True)
        if name == "months":
            update_results("evaluation", {name: judge_months(world_of("smooth", folder / name).path)})
            continue
        began = time.monotonic()
        figures = judge_demo(folder / name) if name == "transformer" else judge(name, world_of(name, folder))
        show(name, figures)
        update_results("evaluation", {name: figures | {"seconds": time.monotonic() - began}})


if __name__ == "__main__":
    main()
