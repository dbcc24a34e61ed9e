"""What the product's cheap estimates say of a world's sources, and what each costs.

Legend: S sources, R replicates.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.markets.world import World
from tribute.config import SimulationSettings
from tribute.estimators import Groups, Trained, build_estimator
from tribute.readout import read_out
from tribute.simulation import build_mode, build_schedule, change_matrix, leave_one_out_units, simulate
from tribute.tasks import Scope
from tribute.training import record

HORIZONS = {"paired_20": 0.2, "paired_50": 0.5}
GROUPS = 64
ESTIMATORS = {"cg": "conjugate_gradient", "nearest": "nearest"}


@dataclass(frozen=True)
class Estimate:
    """Totals over groups of the tuning queries, and of those that judge for a simulation, [G, S] each; the cost
    in trainings, of which `nominal` counts trajectories."""

    groups: list[NDArray[np.float64]]
    nominal: float
    measured: float


def estimates(world: World, seed: int, names: tuple[str, ...]) -> dict[str, Estimate]:
    """What these estimates say under a seed."""
    recipe, found = world.recipe(seed), dict[str, Estimate]()
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        trained = Trained(recipe, record(recipe, Path(folder)), recipe.steps)
        training = time.process_time() - began
        for name in names:
            began = time.process_time()
            work = _paired if name in HORIZONS else _estimated
            groups = [grouped(influence_QS) for influence_QS in work(world, trained, name)]
            nominal = HORIZONS.get(name, 0.0) * (world.sources + 1)
            found[name] = Estimate(groups, nominal, (time.process_time() - began) / training)
    return found


def grouped(influence_QS: torch.Tensor) -> NDArray[np.float64]:
    """Totals over groups of queries, [G, S]: every 64th query is in one group."""
    return np.stack([influence_QS[group::GROUPS].double().sum(0).numpy() for group in range(GROUPS)])


def _paired(world: World, trained: Trained, name: str) -> list[torch.Tensor]:
    recipe, settings = trained.recipe, SimulationSettings(horizon=HORIZONS[name])
    schedule = build_schedule(recipe, settings, trained.theta_P)
    start = trained.state(schedule.steps.start)
    units = leave_one_out_units(recipe.data.source_ids)
    mode = build_mode(schedule, settings, torch.from_numpy(change_matrix(units, world.sources)))
    found = simulate(mode, mode.begin(start), schedule.steps.start)
    response_KP = torch.where((found.failed >= 0)[:, None], torch.nan, found.response_KP)
    scope = Scope(recipe.task, settings.scope)
    asked = (world.tuning, world.judging)
    return [
        read_out("difference", scope, [trained.theta_P], [response_KP], rows)[0].influence_QS for rows in asked
    ]


def _estimated(world: World, trained: Trained, name: str) -> list[torch.Tensor]:
    estimator = build_estimator(ESTIMATORS[name], {})
    groups = Groups.of_sources(trained.data, range(world.sources))
    fitted = estimator.fit(trained)
    gathered = estimator.gather(trained, fitted, groups)
    with torch.no_grad():
        return [estimator.influence(trained, fitted, gathered, world.tuning)]
