"""Every way to simulate, against real retraining: MNIST with 20 sources, smooth and rough training.

Truth: leaving every source out for real under `TRUTH` other seeds, on test images that nothing was tuned on.
- modes, horizons and replicates: misallocated pool, rank correlations, LDS, cost in trainings;
- the default (short paired simulations calibrated to spot retrains) against three real retrains of every source,
  on several splits of the examples into sources, with the coverage of its intervals.
"""

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks.judged import by_replicates, default_values
from tests.benchmarks.mnist import SETTINGS, write_mnist_project
from tests.benchmarks.results import FOLDER, update_results
from tests.benchmarks.worlds import Ask, Found, World, answers
from tribute.evaluation import linear_datamodeling_score, misallocated, rank_correlation, seed_ceiling
from tribute.simulation import Unit

OWN, TRUTH = range(5), range(1000, 1008)
SPLITS = (7, 31, 32, 33)
SPOTS = 4
QUERIES = range(5000, 6000)
REMOVALS, LDS_SEEDS = 40, 4
PARTS = (("half", 0.5), ("tenth", 0.1))
SUMMARY = ("token_count", "default", "three_retrains", "ceiling")
HORIZONS = (0.1, 0.2, 0.5)

RETRAINED = Ask("retrained", {"horizon": 1.0})
PAIRED = [Ask(f"paired_{h:.0%}", {"horizon": h}) for h in HORIZONS]
PAIRED_HALF = Ask("paired_w1/2_20%", {"horizon": 0.2, "weight": 0.5, "epsilon": 0.5})
SPOT_STACK = Ask("spot_stack", {"horizon": 1.0}, tuple(Unit(str(s), (s,)) for s in range(SPOTS)))
TANGENT = [
    Ask(f"tangent_{name}_{h:.0%}", {"mode": "tangent", "horizon": h, "weight": weight})
    for name, weight in (("w1", 1.0), ("w1/2", 0.5))
    for h in (*HORIZONS, 1.0)
]
CONTINUE = [
    Ask("continue_paired", {"base": "continue", "steps": 80, "damping": 0.01}),
    Ask(
        "continue_tangent_gn",
        {"base": "continue", "steps": 80, "damping": 0.01, "mode": "tangent", "curvature": "gauss_newton"},
    ),
]


def removals(sources: int, part: float, count: int) -> tuple[Unit, ...]:
    """Random sets of sources to train without, for LDS."""
    rng = np.random.default_rng([7, int(100 * part)])
    sets = [rng.choice(sources, max(1, round(part * sources)), replace=False) for _ in range(count)]
    return tuple(Unit(f"removal-{i}", tuple(sorted(map(int, chosen)))) for i, chosen in enumerate(sets))


def totals(found: list[dict[str, Found]], name: str) -> NDArray[np.float64]:
    """Summed influence of a simulation under every seed, [R, U] nats."""
    return np.stack([each[name].influence_QU.sum(0, dtype=np.float64) for each in found])


def cost(found: list[dict[str, Found]], name: str) -> float:
    """Median cost of a replicate in trainings."""
    return float(np.median([each[name].trainings for each in found]))


def judge(worlds: Sequence[World], modes: Sequence[Ask], count: int) -> dict[str, object]:
    """All figures of some modes on the first world, and of the default on all.

    Args:
        count: random removals for LDS.
    """
    sources = len(worlds[0].tokens_S)
    removed = [Ask(name, {"horizon": 1.0, "chunk": count}, removals(sources, part, count)) for name, part in PARTS]
    asked = [RETRAINED, PAIRED[1], SPOT_STACK]
    first = [*asked, *(mode for mode in modes if mode not in asked)]
    jobs = [(worlds[0].path, seed, first + removed * (seed == OWN[0])) for seed in OWN]
    jobs += [(worlds[0].path, seed, [RETRAINED] + removed * (seed < TRUTH[LDS_SEEDS])) for seed in TRUTH]
    for world in worlds[1:]:
        jobs += [(world.path, seed, asked) for seed in OWN]
        jobs += [(world.path, seed, [RETRAINED]) for seed in TRUTH]
    found = answers(jobs)
    each = len(OWN) + len(TRUTH)
    parts = [found[i * each : (i + 1) * each] for i in range(len(worlds))]
    own, truth = parts[0][: len(OWN)], parts[0][len(OWN) :]
    table = {mode.name: judge_mode(mode, own, truth, removed) for mode in modes}
    default = judge_default(worlds, parts)
    return {
        "misallocated_pool": {key: default[key] for key in SUMMARY}
        | {name: row["misallocated_pool"] for name, row in table.items()},
        "cost_in_trainings": {"default": default_cost(own), "three_retrains": 3.0 * sources}
        | {name: row["cost_in_trainings"] for name, row in table.items()},
        "coverage_95": default["coverage_95"],
        "rank_correlation_own_run": {name.removesuffix("_100%"): row["own_run"] for name, row in table.items()},
        "modes": table,
        "default": default,
    }


def default_cost(own: list[dict[str, Found]]) -> float:
    """Trainings that the default takes: three replicates, each simulated and retrained without the spots."""
    return 3 * (cost(own, PAIRED[1].name) + cost(own, SPOT_STACK.name))


def judge_mode(
    ask: Ask, own: list[dict[str, Found]], truth: list[dict[str, Found]], removed: Sequence[Ask]
) -> dict[str, object]:
    """The figures of one mode and horizon: one, three and five replicates; same-seed and other-seed."""
    mean_QS = np.mean([each[ask.name].influence_QU for each in own], 0)
    real_QS = np.mean([each[RETRAINED.name].influence_QU for each in truth], 0)
    row: dict[str, object] = {
        "misallocated_pool": by_replicates(totals(own, ask.name), totals(truth, RETRAINED.name), (1, 3, 5)),
        "cost_in_trainings": cost(own, ask.name),
        "own_run": float(
            np.mean([rank_correlation(e[ask.name].influence_QU, e[RETRAINED.name].influence_QU) for e in own])
        ),
        "leave_source_out": {
            "1": float(np.mean([rank_correlation(e[ask.name].influence_QU, real_QS) for e in own])),
            "5": rank_correlation(mean_QS, real_QS),
        },
    }
    for removal in removed:
        removed_MS = np.zeros((len(removal.units), mean_QS.shape[1]), dtype=bool)
        for m, unit in enumerate(removal.units):
            removed_MS[m, list(unit.removed)] = True
        others = np.mean([e[removal.name].influence_QU for e in truth if removal.name in e], 0)
        same = own[0]
        row[f"lds_{removal.name}"] = {
            "same_seed": linear_datamodeling_score(
                same[ask.name].influence_QU, removed_MS, same[removal.name].influence_QU
            ),
            "other_seeds": linear_datamodeling_score(mean_QS, removed_MS, others),
        }
    return row


def judge_default(worlds: list[World], parts: list[list[dict[str, Found]]]) -> dict[str, float]:
    """The default, three real retrains of everything, token counts and the truth's noise; mean over splits."""
    rows = []
    for world, found in zip(worlds, parts, strict=True):
        own, truth_TS = found[: len(OWN)], totals(found[len(OWN) :], RETRAINED.name)
        estimates = {"simulated": totals(own, PAIRED[1].name)}
        retrained = totals(own, RETRAINED.name)
        judged = default_values(estimates, retrained, world.tokens_S, truth_TS, SPOTS)
        rows.append(
            {
                "default": judged.pop("misallocated_pool"),
                "three_retrains": by_replicates(retrained, truth_TS, (3,))["3"],
                "token_count": misallocated(world.tokens_S, truth_TS.mean(0)),
                "ceiling": seed_ceiling(truth_TS, misallocated),
            }
            | judged
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {
        f"{name}_by_split": [row[name] for row in rows] for name in ("default", "three_retrains", "coverage_95")
    }


def show(title: str, figures: dict[str, Any]) -> None:
    """The figures as a table."""
    table, default = figures["modes"], figures["default"]
    shown = Table(title=title, title_justify="left")
    for name in (
        "simulation",
        "cost",
        "mis. 1",
        "mis. 3",
        "mis. 5",
        "own run",
        "LSO 1",
        "LSO 5",
        "LDS ½ same",
        "other",
        "LDS ⅒ same",
        "other",
    ):
        shown.add_column(name, justify="right" if name != "simulation" else "left")
    for name, row in table.items():
        wrong = [f"{100 * row['misallocated_pool'][k]:.0f}%" for k in ("1", "3", "5")]
        ranks = [
            row["own_run"],
            *row["leave_source_out"].values(),
            *row["lds_half"].values(),
            *row["lds_tenth"].values(),
        ]
        shown.add_row(name, f"{row['cost_in_trainings']:.1f}", *wrong, *(f"{r:.2f}" for r in ranks))
    Console(width=140).print(shown)
    print(
        f"{title}: default {default['default']:.1%}, three retrains {default['three_retrains']:.1%}, "
        f"tokens {default['token_count']:.1%}, ceiling {default['ceiling']:.1%}, "
        f"coverage {default['coverage_95']:.1%}"
    )


def main() -> None:
    """Both settings, into build/bench/simulation.json."""
    folder = FOLDER / "simulation"
    shutil.rmtree(folder, ignore_errors=True)
    for setting in SETTINGS:
        worlds = [
            World.of(
                write_mnist_project(folder / f"{setting}-{split}", setting, 0.2, split=split, queries=QUERIES)
            )
            for split in SPLITS
        ]
        figures = judge(worlds, [*PAIRED, PAIRED_HALF, RETRAINED, *TANGENT, *CONTINUE], REMOVALS)
        show(f"MNIST, 20 sources, {setting}", figures)
        update_results("simulation", {setting: figures})


if __name__ == "__main__":
    main()
