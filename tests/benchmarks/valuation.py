"""Every way to value sources on every market, against retraining under other seeds, on other queries.

From the bank of retrainings (`markets/`), so it trains only what the choice asks for beyond it. Figures are means
over splits and repetitions, by market and setting: the pool in the wrong place, how wide the intervals are (half,
mean over sources, in an average source's value), how often they hold the truth, what the posterior expected, and
the cost in trainings.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.markets.bank import Bank
from tests.benchmarks.markets.columns import (
    ESTIMATES,
    Valued,
    chosen,
    previous_default,
    random_fifths,
    simple,
    simulation_cost,
    valued,
)
from tests.benchmarks.markets.registry import JUDGING, MARKETS, SETTINGS
from tests.benchmarks.results import FOLDER, write_results
from tribute.evaluation import misallocated, seed_ceiling

REPETITIONS, FEWER = 3, 10
"""Repetitions of a valuation with other random numbers; and of the previous default with other spots."""

BUDGETS = (10, 20, 40)
"""Trainings, simulations at their measured cost included."""

DEFAULT_PRECISION, DEFAULT_BUDGET = 0.05, 20
"""The product's default: no further training at this expected misallocation, and at most so many."""

Figures = dict[str, float]


def judged_world(bank: Bank) -> dict[str, list[Figures]]:
    """The figures of every column on a world, by repetition."""
    truth_TS = bank.truth()
    rows = {name: [each.judged(truth_TS)] for name, each in simple(bank).items()}
    ceiling = seed_ceiling(list(truth_TS), misallocated)
    rows["ceiling"] = [{"misallocated_pool": float(ceiling or 0), "cost_in_trainings": truth_TS.size / 2}]
    rows["previous_default"] = [previous_default(bank, r).judged(truth_TS) for r in range(FEWER)]
    simulated = round(simulation_cost(bank, ESTIMATES, 1))
    counts = {budget: max(budget - simulated, 0) for budget in BUDGETS}
    for repetition in range(REPETITIONS):
        for name, each in chosen_columns(bank, repetition, counts).items():
            rows.setdefault(name, []).append(each.judged(truth_TS))
        for budget, count in counts.items():
            found = valued(bank, random_fifths(bank, repetition, count))
            rows.setdefault(f"random_fifths_{budget}", []).append(found.judged(truth_TS))
    return rows


def chosen_columns(bank: Bank, repetition: int, counts: dict[int, int]) -> dict[str, Valued]:
    """The default, the budgets, and where asking for the default's precision alone stops."""
    steps = [
        (len(found.trainings.lost_K), valued(bank, found))
        for found in chosen(bank, repetition, sorted({DEFAULT_BUDGET, *counts.values()}))
    ]
    by_count = dict(steps)
    precise = next((each for _, each in steps if (each.predicted or 0) <= DEFAULT_PRECISION), steps[-1][1])
    default = next(each for count, each in steps if each is precise or count >= DEFAULT_BUDGET)
    budgets = {f"budget_{budget}": by_count[count] for budget, count in counts.items()}
    return {"default": default, "precision_5%": precise} | budgets


def mean(rows: Iterable[Figures]) -> Figures:
    """The mean of every figure that the rows have."""
    listed = list(rows)
    return {key: float(np.mean([row[key] for row in listed])) for key in listed[0]}


def judged(markets: Iterable[str]) -> dict[str, Any]:
    """The figures by market, setting and column; worlds that were judged already are kept in the build folder."""
    found = dict[str, Any]()
    for market in markets:
        for setting in SETTINGS:
            worlds = [_kept(f"{market}-{split}-{setting}") for split in JUDGING]
            found.setdefault(market, {})[setting] = {
                column: mean(row for world in worlds for row in world[column])
                | {"misallocated_by_split": [mean(world[column])["misallocated_pool"] for world in worlds]}
                for column in worlds[0]
            }
    return found


def _kept(name: str) -> dict[str, list[Figures]]:
    path = FOLDER / "valuation" / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = judged_world(Bank.of(name))
        path.write_text(json.dumps(rows))
        print(f"{name} judged", flush=True)
    return json.loads(path.read_text())


def show(figures: dict[str, Any]) -> None:
    """A table for each market and setting."""
    for market, by_setting in figures.items():
        for setting, columns in by_setting.items():
            shown = Table(title=f"{market}, {setting}", title_justify="left")
            for heading in ("", "misallocated", "predicted", "half-width", "coverage", "trainings", "measured"):
                shown.add_column(heading, justify="right" if heading else "left")
            for column, row in columns.items():
                shown.add_row(column, *_cells(row))
            Console(width=110).print(shown)


def _cells(row: Figures) -> list[str]:
    shapes = {
        "misallocated_pool": ".1%",
        "predicted_misallocation": ".1%",
        "half_width": ".2f",
        "coverage_95": ".0%",
        "cost_in_trainings": ".0f",
        "measured_cost_in_trainings": ".0f",
    }
    return [format(row[key], shape) if key in row else "" for key, shape in shapes.items()]


def main() -> None:
    """All markets, into build/bench/valuation.json."""
    figures = judged(MARKETS)
    show(figures)
    write_results("valuation", figures)


if __name__ == "__main__":
    main()
