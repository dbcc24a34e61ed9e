"""A world of a market: what is trained on, asked for and measured, and any of its trainings.

Legend: N examples, K trainings, S sources, Q queries, P parameters.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.markets.stacked import stacked_finals
from tribute.config import TaskSettings, TrainingSettings
from tribute.readout import QueryRows
from tribute.tasks import Classifier, joined
from tribute.training import Recipe, TrainingSet

Columns = Mapping[str, NDArray]
ROWS = 1000
"""Query rows measured at once."""


def query_rows(columns: Columns) -> QueryRows:
    """Queries of one row each."""
    count = len(next(iter(columns.values())))
    return QueryRows(tuple(f"{q:05d}" for q in range(count)), columns, np.arange(count))


@dataclass(frozen=True)
class World:
    """Sources' examples, the queries that tune and those that judge, and how the model is trained.

    `size_S` are the sources' tokens or examples, `eligible_S` those of a text that count as content. `kinds` says
    what each source is.
    """

    name: str
    data: TrainingSet
    kinds: tuple[str, ...]
    size_S: NDArray[np.float64]
    tuning: QueryRows
    judging: QueryRows
    task: TaskSettings
    training: TrainingSettings
    eligible_S: NDArray[np.float64] | None = None

    def recipe(self, seed: int) -> Recipe:
        """Its training under a seed."""
        return Recipe(self.task, self.training, self.data, seed)

    @cached_property
    def sources(self) -> int:
        """How many sources."""
        return len(self.data.source_ids)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all examples, their sources and the queries."""
        found = hashlib.sha256(self.data.source_N.tobytes())
        for columns in (self.data.columns, self.tuning.columns, self.judging.columns):
            for name in sorted(columns):
                found.update(np.ascontiguousarray(columns[name]).tobytes())
        return found.hexdigest()

    def finals(self, removed_KS: NDArray, seed: int) -> torch.Tensor:
        """Final parameters of trainings of one seed without some sources, side by side, [K, P].

        A removed source has weight 0 in batches that stay the same, as in the product's simulations.
        """
        recipe = self.recipe(seed)
        if isinstance(recipe.task.task, Classifier):
            return stacked_finals(recipe, removed_KS)
        first = joined(recipe.initial().theta).expand(len(removed_KS), -1).clone()
        state = recipe.rule.begin(recipe.task.pieces(first))
        return joined(recipe.run(state, range(recipe.steps), 1 - torch.from_numpy(removed_KS).float()).theta, 1)

    def measured(self, theta_KP: torch.Tensor) -> NDArray[np.float64]:
        """Totals over the tuning and the judging queries, [K, 2] nats."""
        task = self.recipe(0).task
        return np.array(
            [[total(task, theta_P, rows) for rows in (self.tuning, self.judging)] for theta_P in theta_KP]
        )

    def trained(self, removed_KS: NDArray, seed: int) -> NDArray[np.float64]:
        """What trainings without some sources measure: totals over tuning and judging queries, [K, 2] nats."""
        return self.measured(self.finals(removed_KS, seed))

    def falls(self, seed: int) -> NDArray[np.float64]:
        """By what a training lowers the mean loss of each source's examples, [S] nats."""
        recipe = self.recipe(seed)
        task, chosen = recipe.task.evaluated, np.arange(len(recipe.data))
        batch, _ = recipe.data.batch(chosen, recipe.device)
        first_P = joined(recipe.initial().theta)
        [last_P] = self.finals(np.zeros((1, self.sources), np.uint8), seed)
        with torch.no_grad():
            before_N, after_N = (task.losses(theta_P, batch).double().numpy() for theta_P in (first_P, last_P))
        fall_N = before_N - after_N
        return np.bincount(recipe.data.source_N, fall_N, self.sources) / self.data.counts


@torch.no_grad()
def total(task, theta_P: torch.Tensor, rows: QueryRows) -> float:
    """Sum of the measurement over all queries, nats."""
    return sum(
        float(task.measure(theta_P, batch).double().sum()) for batch, _ in rows.batches(ROWS, theta_P.device)
    )
