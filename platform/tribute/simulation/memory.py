"""Number of trajectories that fit into a memory budget.

Legend: P parameters, p of the scope, K units.
"""

import torch

from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.tasks import Scope, joined, kept_bytes
from tribute.training import Recipe

GIB = 2**30
ACTIVATIONS = 3
"""Peak bytes of activations in a step, as a multiple of those that the forward pass keeps. Measured: 1.4 to 2.7,
most for transformers with large logits."""


def trajectory_bytes(recipe: Recipe, settings: SimulationSettings) -> int:
    """Upper bound of the bytes that one more trajectory takes at the peak of a step.

    Counts parameters, optimizer slots, gradient and intermediate results of the update, and `ACTIVATIONS` times
    the bytes that a micro-batch keeps for its backward pass.
    """
    scope = Scope(recipe.task, settings.scope)
    slots = len(recipe.rule.optimizer.init(torch.zeros(1)))
    vectors = 3 * (1 + slots) + (4 if settings.mode == "tangent" else 1)
    return 4 * scope.size * vectors + ACTIVATIONS * saved_bytes(recipe, scope)


def saved_bytes(recipe: Recipe, scope: Scope) -> int:
    """Bytes that the forward pass of the first micro-batch keeps for the backward pass of the scope."""
    [micro_batch, *_] = recipe.micro_batches(
        recipe.schedule.order, 0, torch.ones(len(recipe.data.source_ids)).to(recipe.device)
    )
    theta = recipe.initial().theta
    task = scope.task_at(theta)
    return kept_bytes(
        lambda narrow: task.losses_at(scope.pieces(narrow), micro_batch.batch), joined(scope.part(theta))
    )


def largest_chunk(recipe: Recipe, settings: SimulationSettings) -> int:
    """Number of units that a worker simulates at once: at most `chunk`, within `memory_gib`.

    With a narrow scope, the whole model also runs once.

    Raises:
        ConfigError: not even one unit fits.
    """
    trajectory = trajectory_bytes(recipe, settings)
    whole = settings.model_copy(update={"scope": "all", "mode": "paired"})
    unperturbed = 0 if Scope(recipe.task, settings.scope).whole else trajectory_bytes(recipe, whole)
    fitting = int((settings.memory_gib * GIB - unperturbed) // trajectory) - 1
    if fitting < 1:
        raise ConfigError(
            f"simulation.memory_gib is {settings.memory_gib}, but a trajectory of this model takes "
            f"{trajectory / GIB:.2f} GiB and two are needed. Raise it, narrow simulation.scope, or raise "
            "training.accumulation"
        )
    return min(settings.chunk, fitting)
