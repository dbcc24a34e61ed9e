"""Every estimator on a world of the benchmarks, and what it costs.

Legend: Q queries, S sources.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.worlds import World, in_processes
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS, Groups, Trained, build_estimator
from tribute.readout import QueryRows
from tribute.readout.features import rows_at_once
from tribute.training import record

REPEATS = 7
COMPARED = 200
"""Queries that the peers are given. Ours are timed on as many, and as they are: in one call after a small one."""


@dataclass(frozen=True)
class Choice:
    """An estimator with options, under a name of the table."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""

    @property
    def method(self) -> str:
        """What the table calls it."""
        return self.title or self.name


CHOICES = [*(Choice(name) for name in ESTIMATORS), Choice("trak", {"models": 10}, "trak, 10 models")]


@dataclass(frozen=True)
class Estimate:
    """Influence of sources, [Q, S], in the estimator's unit; the preparation, and a query's cost."""

    influence_QS: NDArray[np.float32]
    trainings: float
    forwards: float


def estimates(world: World, seeds: Sequence[int], choices: Sequence[Choice]) -> list[dict[str, Estimate]]:
    """What every estimator says under every seed, by method; what does not suit the world is missing.

    Under the first seed alone: those that know no model, and those with options, which train many.
    """
    further = [choice for choice in choices if not choice.options and not ESTIMATORS[choice.name].model_free]
    jobs = [(world.path, seed, further if index else choices) for index, seed in enumerate(seeds)]
    return in_processes(_estimate, jobs)


def _estimate(path: Path, seed: int, choices: Sequence[Choice]) -> dict[str, Estimate]:
    world = World(path)
    recipe, queries = world.recipe(seed), QueryRows.of(world.queries)
    few, one = (QueryRows.of(world.queries.take(range(count))) for count in (COMPARED, 1))
    with tempfile.TemporaryDirectory() as folder:
        world.warm_up(recipe)
        began = time.process_time()
        trained = Trained(recipe, record(recipe, Path(folder)), recipe.steps)
        training = time.process_time() - began
        forward = forward_seconds(trained, few)
        groups, found = Groups.of_sources(recipe.data, range(len(recipe.data.source_ids))), {}
        for choice in choices:
            estimator, began = build_estimator(choice.name, choice.options), time.process_time()
            try:
                fitted = estimator.fit(trained)
            except ConfigError as error:
                print(f"{choice.method}: {error}")
                continue
            gathered = estimator.gather(trained, fitted, groups)
            prepared = (time.process_time() - began) / training
            with torch.no_grad():
                influence_QS = estimator.influence(trained, fitted, gathered, queries)
                estimator.influence(trained, fitted, gathered, one)
                began = time.process_time()
                estimator.influence(trained, fitted, gathered, few)
                query = (time.process_time() - began) / forward
            print(f"seed {seed}, {choice.method}: prepared {prepared:.1f}, a query {query:.0f}", flush=True)
            found[choice.method] = Estimate(influence_QS.float().cpu().numpy(), prepared, query)
    return found


def forward_seconds(trained: Trained, queries: QueryRows) -> float:
    """Processor seconds of a plain forward pass of the queries, the median of a few."""
    task, theta_P, taken = trained.task, trained.theta_P, []
    rows = rows_at_once(task, theta_P, queries)
    for _ in range(REPEATS):
        began = time.process_time()
        with torch.no_grad():
            for batch, _ in queries.batches(rows, theta_P.device):
                task.measure(theta_P, batch)
        taken.append(time.process_time() - began)
    return float(np.median(taken[1:]))
