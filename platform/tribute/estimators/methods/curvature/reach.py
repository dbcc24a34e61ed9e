"""How far training moves a parameter along a constant gradient, by the rates and the optimizer of its steps.

Legend: P parameters.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.estimators.estimator import Trained
from tribute.estimators.replay import rates_over
from tribute.training.optimizers import Adam, Optimizer, Sgd, at_step

FLOOR = 1e-12
"""Least reach, as a part of the largest: a parameter whose learning rate is 0 hardly moves."""


class Stretch(NamedTuple):
    """A recorded state, by the step after it, and the steps since the state before it."""

    step: int
    steps: range


def recorded_stretches(trained: Trained, most: int, method: str) -> list[Stretch]:
    """At most `most` evenly spaced recorded states, the final one among them, and the steps that each stands for.

    Raises:
        ConfigError: the training has no recorded steps.
    """
    recorded = trained.trajectory.steps()[1:]
    if not recorded or not trained.steps:
        raise ConfigError(
            f"{method} needs the steps of the training, but training.checkpoint holds only the last state. Use "
            "ekfac, or record the training with `tribute.training.Recorder`"
        )
    count = min(most, len(recorded))
    ends = [recorded[(part + 1) * len(recorded) // count - 1] for part in range(count)]
    starts = [0, *ends[:-1]]
    return [Stretch(end, range(start, end)) for start, end in zip(starts, ends, strict=True)]


def reach_over(trained: Trained, stretches: list[Stretch]) -> Tensor:
    """Displacement per unit of a constant gradient, [P]: the sum of rates times what the optimizer makes of it.

    Heavy-ball momentum mu makes 1 / (1 - mu) of a gradient; Adam 1 / (sqrt(v^ + eps_root) + eps), with the second
    moment v of the state after each stretch. Clipping and weight decay are ignored. Reciprocals are dampings: a
    direction whose curvature is below 1 / reach has hardly been trained (arXiv 2405.12186).
    """
    reach_P = torch.zeros_like(trained.theta_P)
    for step, steps in stretches:
        state, rule = trained.state(step), trained.recipe.rule
        factors = {
            name: _factor(rule.optimizer_of(name), tuple(slot[name] for slot in state.slots), step)
            for name in trained.task.shapes
        }
        reach_P += rates_over(trained, steps) * trained.task.flatten(factors)
    return reach_P.clamp(min=FLOOR * float(reach_P.max()))


def _factor(optimizer: Optimizer, slots: tuple[Tensor, ...], step: int) -> Tensor:
    optimizer = at_step(optimizer, step - 1)
    if isinstance(optimizer, Sgd):
        return torch.full_like(slots[0], 1 / (1 - optimizer.momentum))
    assert isinstance(optimizer, Adam)
    return 1 / optimizer.spread(slots[1], step)
