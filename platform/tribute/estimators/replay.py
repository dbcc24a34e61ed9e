"""A recorded training once more, step by step, and what each group's examples ask of every step.

Legend: T steps, B examples of a part of the batch, G groups, g of them in the batch, P parameters.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vjp, vmap

from tribute.errors import ConfigError
from tribute.estimators.estimator import Groups, Trained
from tribute.estimators.gradients import slopes_at_once
from tribute.training import MicroBatch, State, horizon_start
from tribute.training.step import seeded

TOGETHER = 16
"""Groups whose gradients of a batch are taken at once, at most: more are no faster and take more memory."""


class Slopes(NamedTuple):
    """Groups that have examples in the batch, [g], and their parts of its gradient, [g, P]."""

    present: Tensor
    slope_gP: Tensor


def stretches(rates: NDArray[np.float64], count: int) -> list[range]:
    """Steps in so many stretches of about equal learning-rate mass; single steps where there are no more."""
    if count >= len(rates):
        return [range(step, step + 1) for step in range(len(rates))]
    starts = {horizon_start(rates, part / count) for part in range(1, count + 1)}
    return [range(*bounds) for bounds in pairwise([*sorted(starts), len(rates)])]


def replayed(trained: Trained) -> Iterator[tuple[int, State]]:
    """Every step with the state before it, to the same bits as recorded.

    As in `adopt`, every recorded state is taken from disk, so that rounding against a loop of the user's own
    does not add up.

    Raises:
        ConfigError: only a checkpoint is known.
    """
    if not trained.steps:
        raise ConfigError(
            "In-run estimators run the training again, and training.checkpoint has no steps. Use gradient_dot, or "
            "record the training with `tribute.training.Recorder`"
        )
    recorded, everything = set(trained.trajectory.steps()), torch.ones(len(trained.data.source_ids))
    state = trained.state(0)
    for step in range(trained.steps):
        if step in recorded:
            state = trained.state(step)
        yield step, state
        state = trained.recipe.run(state, range(step, step + 1), everything)


def parts_of(trained: Trained, step: int) -> list[MicroBatch]:
    """The batch of a step, all examples with weight 1."""
    everything = torch.ones(len(trained.data.source_ids), device=trained.device)
    return trained.recipe.parts(trained.recipe.schedule.order, step, everything)


def batch_slopes(trained: Trained, step: int, theta_P: Tensor, groups: Groups) -> Slopes:
    """(1/B) sum of the gradients of each group's examples in the batch of a step, the mean over its parts.

    One forward pass of the batch and a backward pass per group that is in it.
    """
    owners = [groups.group_N[indices_B] for indices_B in trained.recipe.schedule.order.parts(step)]
    present = np.unique(np.concatenate(owners))
    present = present[present >= 0]
    slope_gP = theta_P.new_zeros(len(present), theta_P.numel())
    parts = parts_of(trained, step) if len(present) else []
    for part, owner_B in zip(parts, owners[: len(parts)], strict=True):
        weight_gB = torch.from_numpy(owner_B == present[:, None]).to(theta_P) / (len(owner_B) * len(owners))
        slope_gP += _pulled(trained, theta_P, part, weight_gB)
    return Slopes(torch.from_numpy(present).to(trained.device), slope_gP)


def _pulled(trained: Trained, theta_P: Tensor, part: MicroBatch, weight_gB: Tensor) -> Tensor:
    """Gradients of the weighted sums of a part's losses, [g, P]."""
    with seeded(part, trained.device):
        losses_B, pull = vjp(lambda at_P: trained.task.losses(at_P, part.batch), theta_P)[:2]
    size = min(TOGETHER, slopes_at_once(theta_P))
    return torch.cat([vmap(pull)(chunk_gB)[0] for chunk_gB in weight_gB.to(losses_B.dtype).split(size)])
