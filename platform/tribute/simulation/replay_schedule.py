"""The steps of a simulation: the last recorded steps again, or further steps from a checkpoint.

Legend: S sources.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.config import SimulationSettings
from tribute.tasks import Parameters
from tribute.training import BatchOrder, MicroBatch, Order, Recipe, State, UpdateRule
from tribute.training.optimizers import at_the_end


@dataclass(frozen=True)
class ReplaySchedule:
    """Learning rates and batches of some steps, their update rule, and the weight of every unperturbed source."""

    recipe: Recipe
    rates: NDArray[np.float64]
    order: Order
    rule: UpdateRule
    steps: range
    weight: float
    effective_damping: float | None

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        return float(self.rates[step])

    def micro_batches(self, step: int, weights_S: Tensor) -> list[MicroBatch]:
        """Examples of a step with their weights, [..., S] to [..., B]."""
        return self.recipe.micro_batches(self.order, step, weights_S)

    def base_weights(self) -> Tensor:
        """Weights of the unperturbed run, [S]."""
        return torch.full((len(self.recipe.data.source_ids),), self.weight, device=self.recipe.device)


def replay(recipe: Recipe, settings: SimulationSettings) -> ReplaySchedule:
    """The last part of the recorded training: `horizon` of its learning-rate mass."""
    steps = range(recipe.horizon_start(settings.horizon), recipe.steps)
    damping = _damping(recipe, 0.0, float(recipe.schedule.rates[steps.start :].sum()))
    rates, order = recipe.schedule.rates, recipe.schedule.order
    return ReplaySchedule(recipe, rates, order, recipe.rule, steps, settings.weight, damping)


def continue_from(recipe: Recipe, settings: SimulationSettings, checkpoint: Parameters) -> ReplaySchedule:
    """Further steps from a checkpoint, with the penalty lambda / 2 |theta - theta_T|^2 added to the loss.

    At convergence the response to a source is (G + lambda I)^-1 g_s. Stopping after h steps of rate alpha acts
    like additional damping 1 / (alpha h).
    """
    rate = settings.learning_rate or float(recipe.schedule.rates[-1])
    training = recipe.training
    order = BatchOrder(len(recipe.data), training.batch_size, recipe.seed, training.accumulation)
    own = {name: at_the_end(optimizer) for name, optimizer in recipe.rule.own.items()}
    optimizer = at_the_end(recipe.rule.optimizer)
    rule = UpdateRule(optimizer, recipe.rule.clip_norm, settings.damping, checkpoint, own)
    rates = np.full(settings.steps, rate)
    damping = _damping(recipe, settings.damping, rate * settings.steps)
    return ReplaySchedule(recipe, rates, order, rule, range(settings.steps), settings.weight, damping)


def start_of(recipe: Recipe, schedule: ReplaySchedule, state: State, before: int) -> State:
    """State at the start of the schedule: train on from the recorded state before step `before`."""
    return recipe.run(state, range(before, schedule.steps.start), torch.ones_like(schedule.base_weights()))


def _damping(recipe: Recipe, pull: float, mass: float) -> float | None:
    """lambda + 1 / (alpha h), with alpha = rate / (1 - momentum).

    None for Adam, which scales coordinates, and for several parameter groups.
    """
    if recipe.training.optimizer != "sgd" or recipe.rule.own:
        return None
    return pull + (1 - recipe.training.momentum) / mass
