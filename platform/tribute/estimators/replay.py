"""Replay of a recorded training, and the gradient of each group's examples in every batch.

Legend: T steps, B examples of a micro-batch, G groups, g of them in the batch, P parameters.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vjp

from tribute.errors import ConfigError
from tribute.estimators.estimator import Groups, Trained
from tribute.estimators.gradients import gradients_at_once
from tribute.tasks import batched, seeded
from tribute.training import MicroBatch, State, horizon_start

MAX_GROUPS_AT_ONCE = 16
"""Largest number of groups per backward pass; more take memory without being faster."""


class GroupGradients(NamedTuple):
    """Groups with examples in a batch, [g], and their parts of its gradient, [g, P]."""

    present: Tensor
    gradient_gP: Tensor


def stretches(rates: NDArray[np.float64], count: int) -> list[range]:
    """Cut the steps into `count` stretches of about equal learning-rate mass, or into single steps."""
    if count >= len(rates):
        return [range(step, step + 1) for step in range(len(rates))]
    starts = {horizon_start(rates, part / count) for part in range(1, count + 1)}
    return [range(*bounds) for bounds in pairwise([*sorted(starts), len(rates)])]


def replayed(trained: Trained, first: int = 0) -> Iterator[tuple[int, State]]:
    """Yield each step from `first` on with the state before it, bit for bit as recorded.

    Recorded states are read from disk, as in `adopt`, so that rounding differences from a recorded loop do not
    accumulate.

    Raises:
        ConfigError: the training is a bare checkpoint without steps.
    """
    if not trained.steps:
        raise ConfigError(
            "In-run estimators and adamw_influence replay the training, but training.checkpoint has no recorded "
            "steps. Use gradient_dot, or record the training with `tribute.training.Recorder`"
        )
    recorded, everything = set(trained.trajectory.steps()), torch.ones(len(trained.data.source_ids))
    start = trained.trajectory.last_before(first)
    state = trained.state(start)
    for step in range(start, trained.steps):
        if step in recorded:
            state = trained.state(step)
        if step >= first:
            yield step, state
        state = trained.recipe.run(state, range(step, step + 1), everything)


def micro_batches_of(trained: Trained, step: int) -> list[MicroBatch]:
    """Micro-batches of a step, with weight 1 for every example."""
    everything = torch.ones(len(trained.data.source_ids), device=trained.device)
    return trained.recipe.micro_batches(trained.recipe.schedule.order, step, everything)


def group_weights(trained: Trained, step: int, groups: Groups) -> list[Tensor]:
    """The weights of each group's examples in the micro-batches of a step, 0 for other examples, [G, B] each."""
    found, every = [], np.arange(groups.count)[:, None]
    passes = trained.recipe.schedule.order.micro_batches(step)
    for indices_B, micro_batch in zip(passes, micro_batches_of(trained, step), strict=True):
        inside_GB = torch.from_numpy(groups.group_N[indices_B] == every).to(trained.device)
        found.append(inside_GB * micro_batch.weights)
    return found


def rates_over(trained: Trained, steps: range) -> float | Tensor:
    """Sum of the learning rates of some steps; [P] where parameter groups have rates of their own."""
    rule, rates = trained.recipe.rule, trained.recipe.schedule.rates
    if not rule.own:
        return float(rates[steps.start : steps.stop].sum())
    sums = {n: sum(rule.rate_of(n, float(rates[t]), t) for t in steps) for n in trained.task.shapes}
    named = {name: torch.full(shape, sums[name]) for name, shape in trained.task.shapes.items()}
    return trained.task.flatten(named).to(trained.device)


def batch_gradients(trained: Trained, step: int, theta_P: Tensor, groups: Groups) -> GroupGradients:
    """(1/B) sum of gradients over each group's examples in the batch of a step, averaged over micro-batches.

    Costs one forward pass of the batch, and a backward pass for each group in it.
    """
    owners = [groups.group_N[indices_B] for indices_B in trained.recipe.schedule.order.micro_batches(step)]
    present = np.unique(np.concatenate(owners))
    present = present[present >= 0]
    gradient_gP = theta_P.new_zeros(len(present), theta_P.numel())
    micro_batches = micro_batches_of(trained, step) if len(present) else []
    for micro_batch, owner_B in zip(micro_batches, owners[: len(micro_batches)], strict=True):
        weight_gB = torch.from_numpy(owner_B == present[:, None]).to(theta_P) / (len(owner_B) * len(owners))
        weight_gB *= micro_batch.weights
        gradient_gP += _weighted_gradients(trained, theta_P, micro_batch, weight_gB)
    return GroupGradients(torch.from_numpy(present).to(trained.device), gradient_gP)


def _weighted_gradients(trained: Trained, theta_P: Tensor, micro_batch: MicroBatch, weight_gB: Tensor) -> Tensor:
    """Gradients of weighted sums of the losses of a micro-batch, [g, P]."""
    with seeded(micro_batch.seed, trained.device):
        losses_B, pull = vjp(lambda at_P: trained.task.losses(at_P, micro_batch.batch), theta_P)[:2]
    size = min(MAX_GROUPS_AT_ONCE, gradients_at_once(theta_P))
    return torch.cat([batched(pull)(chunk_gB)[0] for chunk_gB in weight_gB.to(losses_B.dtype).split(size)])
