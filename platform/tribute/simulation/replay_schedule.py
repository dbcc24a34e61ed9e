"""The steps that a simulation runs, whatever it simulates: a recorded training again, or further steps.

Legend: P parameters, S sources.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tribute.config import SimulationSettings
from tribute.training import BatchOrder, MicroBatch, Recipe, Schedule, State, UpdateRule


@dataclass(frozen=True)
class ReplaySchedule:
    """Steps of a schedule under an update rule, from a state in which every source has weight `weight`."""

    recipe: Recipe
    schedule: Schedule
    rule: UpdateRule
    steps: range
    weight: float
    effective_damping: float | None

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        return float(self.schedule.rates[step])

    def parts(self, step: int, weights_S: Tensor) -> list[MicroBatch]:
        """The examples of a step with their weights, [..., S] to [..., B]."""
        return self.recipe.parts(self.schedule.order, step, weights_S)

    def base_weights(self) -> Tensor:
        """Weights of the unperturbed run, [S]."""
        return torch.full((len(self.recipe.data.source_ids),), self.weight, device=self.recipe.device)


def replay(recipe: Recipe, settings: SimulationSettings) -> ReplaySchedule:
    """The last part of the recorded training, in learning-rate mass."""
    steps = range(recipe.horizon_start(settings.horizon), recipe.steps)
    damping = _damping(recipe, 0.0, float(recipe.schedule.rates[steps.start :].sum()))
    return ReplaySchedule(recipe, recipe.schedule, recipe.rule, steps, settings.weight, damping)


def continue_from(recipe: Recipe, settings: SimulationSettings, checkpoint_P: Tensor) -> ReplaySchedule:
    """Further steps from a checkpoint, pulled back to it: the loss gets lambda / 2 |theta - theta_T|^2.

    At convergence the response to a source is (G + lambda I)^-1 g_s; stopping after h steps of rate alpha acts
    like additional damping 1 / (alpha h).
    """
    rate = settings.learning_rate or float(recipe.schedule.rates[-1])
    training = recipe.training
    order = BatchOrder(len(recipe.data), training.batch_size, recipe.seed, training.accumulation)
    rule = UpdateRule(recipe.rule.optimizer, recipe.rule.clip_norm, settings.damping, checkpoint_P)
    rates = np.full(settings.steps, rate)
    damping = _damping(recipe, settings.damping, rate * settings.steps)
    return ReplaySchedule(recipe, Schedule(rates, order), rule, range(settings.steps), settings.weight, damping)


def start_of(recipe: Recipe, course: ReplaySchedule, state: State, before: int) -> State:
    """The state at the start of the course: the training, run up from the recorded state before step `before`."""
    return recipe.run(state, range(before, course.steps.start), torch.ones_like(course.base_weights()))


def _damping(recipe: Recipe, pull: float, mass: float) -> float | None:
    """lambda + 1 / (alpha h), with alpha = rate / (1 - momentum); None for optimizers that scale coordinates."""
    if recipe.training.optimizer != "sgd":
        return None
    return pull + (1 - recipe.training.momentum) / mass
