"""Every estimator on a world of the benchmarks, and what it costs.

Legend: Q queries, S sources.
"""

import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.benchmarks.worlds import CORES, World, in_processes
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS, Groups, Trained, build_estimator
from tribute.readout import QueryRows
from tribute.readout.features import rows_at_once
from tribute.training import record

REPEATS = 7


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


CHOICES = [Choice(name) for name in ESTIMATORS]
TEN_MODELS = Choice("trak", {"models": 10}, "trak, 10 models")


@dataclass(frozen=True)
class Estimate:
    """Influence of sources, [Q, S], in the estimator's unit; preparation, a query's cost, what is stored."""

    influence_QS: NDArray[np.float32]
    trainings: float
    forwards: float
    stored_bytes: int


def estimates(world: World, seed: int, choices: Sequence[Choice], chosen: range) -> dict[str, Estimate]:
    """What every estimator says of the chosen queries under a seed; what does not suit the world is missing."""
    parts = [choices[begin::CORES] for begin in range(CORES)]
    found = in_processes(_estimate, [(world.path, seed, part, chosen) for part in parts])
    return {method: estimate for each in found for method, estimate in each.items()}


def _estimate(path: Path, seed: int, choices: Sequence[Choice], chosen: range) -> dict[str, Estimate]:
    """Influences are timed as the peers' are: in one call after a small one."""
    world = World(path)
    recipe = world.recipe(seed)
    queries, one = (QueryRows.of(world.queries.take(part)) for part in (chosen, chosen[:1]))
    with tempfile.TemporaryDirectory() as folder:
        world.warm_up(recipe)
        began = time.process_time()
        trained = Trained(recipe, record(recipe, Path(folder)), recipe.steps)
        training = time.process_time() - began
        forward = forward_seconds(trained, queries)
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
                estimator.influence(trained, fitted, gathered, one)
                began = time.process_time()
                influence_QS = estimator.influence(trained, fitted, gathered, queries)
                query = (time.process_time() - began) / forward
            stored = stored_bytes([*fitted.values(), *gathered.values()])
            print(f"{choice.method}: prepared {prepared:.1f}, a query {query:.0f}, {stored} bytes", flush=True)
            found[choice.method] = Estimate(influence_QS.float().cpu().numpy(), prepared, query, stored)
    return found


def stored_bytes(tensors: Iterable[Tensor]) -> int:
    """What tensors take in a file."""
    return sum(tensor.nbytes for tensor in tensors)


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
