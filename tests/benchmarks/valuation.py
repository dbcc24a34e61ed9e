"""Every way to value sources on every market, against retraining under other seeds, on other queries.

From the bank of retrainings (`markets/`), so it trains only what the choice asks for beyond it. Figures are means
over splits and repetitions, by market and setting: the pool in the wrong place, how wide the intervals are (half,
mean over sources, in an average source's value), how often they hold the truth, what the posterior expected, and
the cost in trainings. `summary` has their means over settings, and over the markets.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.markets.bank import Bank, stored
from tests.benchmarks.markets.columns import learnt, previous_default, simple
from tests.benchmarks.markets.designs import truth_seeds
from tests.benchmarks.markets.registry import JUDGING, MARKETS, SETTINGS
from tests.benchmarks.results import FOLDER, write_results
from tribute.evaluation import misallocated, seed_ceiling

REPETITIONS, FEWER = 2, 10
"""Repetitions of a valuation with other random numbers; and of the previous default with other spots."""

BUDGETS = (10, 20, 40)
POISONED_BUDGETS = (*BUDGETS, 18)
"""Trainings, of which the estimates count six. One more, where a source hurts: twelve retrainings."""

Figures = dict[str, float]
BySetting = dict[str, dict[str, Figures]]


def judged_world(bank: Bank, budgets: tuple[int, ...], repetitions: int = REPETITIONS) -> dict[str, list[Figures]]:
    """The figures of every column on a world, by repetition."""
    rows = {name: [each.judged(bank)] for name, each in simple(bank).items()}
    ceiling = seed_ceiling(list(bank.truth()), misallocated)
    retrains = len(truth_seeds(bank.name)) * len(bank.size_S) / 2
    rows["ceiling"] = [{"misallocated_pool": float(ceiling or 0), "cost_in_trainings": retrains}]
    rows["previous_default"] = [previous_default(bank, r).judged(bank) for r in range(FEWER)]
    for repetition in range(repetitions):
        for name, each in learnt(bank, repetition, budgets).items():
            rows.setdefault(name, []).append(each.judged(bank))
    return rows


def mean(rows: Iterable[Figures]) -> Figures:
    """The mean of every figure over the rows that have it."""
    listed = list(rows)
    keys = dict.fromkeys(key for row in listed for key in row)
    return {key: float(np.mean([row[key] for row in listed if key in row])) for key in keys}


def judged(markets: Iterable[str]) -> dict[str, BySetting]:
    """The figures by market, setting and column, of the worlds that have a bank.

    Worlds that were judged already are kept in the build folder.
    """
    found, banks = dict[str, BySetting](), stored()
    for market in markets:
        for setting in SETTINGS:
            names = [f"{market}-{split}-{setting}" for split in JUDGING]
            worlds = [_known(name) for name in names if name in banks]
            if not worlds:
                continue
            found.setdefault(market, {})[setting] = {
                column: mean(row for world in worlds for row in world[column]) for column in worlds[0]
            }
    return found


def summary(found: dict[str, BySetting]) -> dict[str, dict[str, Figures]]:
    """Means over settings by market; over all markets, with what was expected as a multiple of what was found."""
    by_market = dict[str, dict[str, Figures]]()
    for market, by_setting in found.items():
        columns, *_ = settings = list(by_setting.values())
        by_market[market] = {column: mean(each[column] for each in settings) for column in columns}
    common = [column for column in by_market["quality"] if all(column in each for each in by_market.values())]
    pooled = {column: mean(each[column] for each in by_market.values()) for column in common}
    for row in pooled.values():
        if "predicted_misallocation" in row:
            row["predicted_by_found"] = row["predicted_as_found"] / row["misallocated_pool"]
    return by_market | {"all": pooled}


def _known(name: str) -> dict[str, list[Figures]]:
    path = FOLDER / "valuation" / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        budgets = POISONED_BUDGETS if name.startswith("poisoned") else BUDGETS
        path.write_text(json.dumps(judged_world(Bank.of(name), budgets)))
        print(f"{name} judged", flush=True)
    return json.loads(path.read_text())


def show(title: str, columns: dict[str, Figures]) -> None:
    """A table, a row for each way to value."""
    shown = Table(title=title, title_justify="left")
    for heading in ("", "misallocated", "predicted", "half-width", "coverage", "trainings", "nominal", "measured"):
        shown.add_column(heading, justify="right" if heading else "left")
    for column, row in columns.items():
        shown.add_row(column, *_cells(row))
    Console(width=120).print(shown)


def _cells(row: Figures) -> list[str]:
    shapes = {
        "misallocated_pool": ".1%",
        "predicted_misallocation": ".1%",
        "half_width": ".2f",
        "coverage_95": ".0%",
        "cost_in_trainings": ".0f",
        "nominal_cost": ".0f",
        "measured_cost": ".0f",
    }
    return [format(row[key], shape) if key in row else "" for key, shape in shapes.items()]


def main() -> None:
    """All markets, into build/bench/valuation.json."""
    found = judged(MARKETS)
    for market, by_setting in found.items():
        for setting, columns in by_setting.items():
            show(f"{market}, {setting}", columns)
    means = summary(found)
    for market, columns in means.items():
        show(f"{market}, mean", columns)
    write_results("valuation", dict[str, Any](found) | {"summary": means})


if __name__ == "__main__":
    main()
