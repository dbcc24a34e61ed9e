"""Simulations of small trainings in one call."""

from collections.abc import Sequence

import numpy as np
import torch

from tribute.config import SimulationSettings
from tribute.simulation import Responses, build_mode, build_schedule, simulate, start_of
from tribute.training import Recipe, State


def simulated(
    recipe: Recipe,
    rows: Sequence[Sequence[float]] | None = None,
    start: State | None = None,
    before: int = 0,
    **settings: object,
) -> Responses:
    """Responses to the given changes of the sources' weights (each source alone, if none are given)."""
    sources = len(recipe.data.source_ids)
    change = torch.tensor(np.eye(sources) if rows is None else np.array(rows), dtype=torch.get_default_dtype())
    simulation = SimulationSettings(**({"horizon": 1.0} | settings))
    state = start or recipe.initial()
    schedule = build_schedule(recipe, simulation, state.theta)
    mode = build_mode(schedule, simulation, change)
    begin = start_of(recipe, schedule, state, before) if simulation.base == "replay" else state
    return simulate(mode, mode.begin(begin), schedule.steps.start)


def trained(recipe: Recipe, weights: Sequence[float] | None = None) -> torch.Tensor:
    """Final parameters of the whole training."""
    weights_S = torch.tensor(weights) if weights is not None else torch.ones(len(recipe.data.source_ids))
    return recipe.run(recipe.initial(), range(recipe.steps), weights_S).theta
