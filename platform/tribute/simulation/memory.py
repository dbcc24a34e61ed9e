"""How many trajectories fit into a memory budget.

Legend: P parameters, p of the scope, K units.
"""

import torch

from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.tasks import Scope, kept_bytes
from tribute.training import Recipe

GIB = 2**30
ACTIVATIONS = 3
"""Bytes of activations at the peak of a step for each that the forward pass keeps; 1.4 to 2.7 were measured, most
where a transformer's logits weigh most."""


def trajectory_bytes(recipe: Recipe, settings: SimulationSettings) -> int:
    """Bytes that one more trajectory in a stack takes at the peak of a step, at most.

    Parameters, optimizer slots, gradient and the update's intermediate results; and `ACTIVATIONS` times what a
    part of a batch keeps for its backward pass.
    """
    scope = Scope(recipe.task, settings.scope)
    slots = len(recipe.rule.optimizer.init(torch.zeros(1)))
    vectors = 3 * (1 + slots) + (4 if settings.mode == "tangent" else 1)
    return 4 * scope.size * vectors + ACTIVATIONS * saved_bytes(recipe, scope)


def saved_bytes(recipe: Recipe, scope: Scope) -> int:
    """Bytes that the forward pass of the first part of a batch keeps for the scope's backward pass."""
    [part, *_] = recipe.parts(recipe.schedule.order, 0, torch.ones(len(recipe.data.source_ids)).to(recipe.device))
    theta_P = recipe.initial().theta
    task = scope.task_at(theta_P)
    return kept_bytes(lambda own_P: task.losses(own_P, part.batch), scope.of(theta_P))


def largest_chunk(recipe: Recipe, settings: SimulationSettings) -> int:
    """The number of units that a worker simulates at once: at most `chunk`, and within `memory_gib`.

    Beside a narrow scope the whole model runs once.

    Raises:
        ConfigError: not even one fits.
    """
    each = trajectory_bytes(recipe, settings)
    whole = settings.model_copy(update={"scope": "all", "mode": "paired"})
    beside = 0 if Scope(recipe.task, settings.scope).whole else trajectory_bytes(recipe, whole)
    fitting = int((settings.memory_gib * GIB - beside) // each) - 1
    if fitting < 1:
        raise ConfigError(
            f"simulation.memory_gib is {settings.memory_gib}, but a trajectory of this model takes "
            f"{each / GIB:.2f} GiB and two are needed. Raise it, narrow simulation.scope, or raise "
            "training.accumulation"
        )
    return min(settings.chunk, fitting)
