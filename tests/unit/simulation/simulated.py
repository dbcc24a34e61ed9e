"""Simulations of small trainings in one call."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from tribute.config import SimulationSettings
from tribute.simulation import Responses, build_mode, build_schedule, simulate, start_of
from tribute.tasks import Parameters, combined, joined
from tribute.training import Recipe, State


class Found(NamedTuple):
    """Responses as vectors: the final parameters [P], the responses [K, p], and the failed step, or -1, [K]."""

    theta_P: torch.Tensor
    response_KP: torch.Tensor
    failed: torch.Tensor

    @classmethod
    def of(cls, responses: Responses) -> "Found":
        return cls(joined(responses.theta), joined(responses.response, 1), responses.failed)


def scaled(theta: Parameters, factor: float) -> Parameters:
    """Every parameter times a factor."""
    return combined(lambda value: value * factor, theta)


def simulated(
    recipe: Recipe,
    rows: Sequence[Sequence[float]] | None = None,
    start: State | None = None,
    before: int = 0,
    **settings: object,
) -> Found:
    """Responses to the given changes of the sources' weights (each source alone, if none are given)."""
    sources = len(recipe.data.source_ids)
    change = torch.tensor(np.eye(sources) if rows is None else np.array(rows), dtype=torch.get_default_dtype())
    simulation = SimulationSettings(**({"horizon": 1.0} | settings))
    state = start or recipe.initial()
    schedule = build_schedule(recipe, simulation, state.theta)
    mode = build_mode(schedule, simulation, change)
    begin = start_of(recipe, schedule, state, before) if simulation.base == "replay" else state
    return Found.of(simulate(mode, mode.begin(begin), schedule.steps.start))


def trained(recipe: Recipe, weights: Sequence[float] | None = None) -> torch.Tensor:
    """Final parameters of the whole training."""
    weights_S = torch.tensor(weights) if weights is not None else torch.ones(len(recipe.data.source_ids))
    return joined(recipe.run(recipe.initial(), range(recipe.steps), weights_S).theta)
