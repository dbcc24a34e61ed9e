"""Optimizers as pure functions: parameters, gradient and slots in, parameters and slots out.

They accept any leading shape ([P], or [K, P] for K trajectories) and are differentiable.
"""

import sys
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tribute.config import TrainingSettings

Slots = tuple[Tensor, ...]
PART = 2**17
"""Numbers that `overwrite` updates at once on a CPU: their intermediate results stay in its cache."""


class Optimizer(Protocol):
    """An update rule; `step` counts from 0."""

    def init(self, theta: Tensor) -> Slots:
        """Slots (momenta) before the first step, each of the shape of `theta`."""
        ...

    def update(
        self, theta: Tensor, gradient: Tensor, slots: Slots, rate: float, step: int
    ) -> tuple[Tensor, Slots]:
        """Parameters and slots after the step."""
        ...


@dataclass(frozen=True)
class Sgd:
    """Heavy-ball momentum: m <- mu m + g + wd theta; theta <- theta - rate m.

    With `nesterov` the step follows g + mu m instead of m.
    """

    momentum: float
    weight_decay: float
    nesterov: bool = False

    def init(self, theta: Tensor) -> Slots:
        """One slot: the momentum."""
        return (torch.zeros_like(theta),)

    def update(
        self, theta: Tensor, gradient: Tensor, slots: Slots, rate: float, step: int
    ) -> tuple[Tensor, Slots]:
        """See the class."""
        del step
        if self.weight_decay:
            gradient = torch.add(gradient, theta, alpha=self.weight_decay)
        momentum = torch.add(gradient, slots[0], alpha=self.momentum)
        direction = torch.add(gradient, momentum, alpha=self.momentum) if self.nesterov else momentum
        return torch.sub(theta, direction, alpha=rate), (momentum,)


@dataclass(frozen=True)
class Adam:
    """Adam: theta <- theta - rate m^ / (sqrt(v^ + eps_root) + eps), and AdamW when the decay is decoupled.

    `eps_root` keeps derivatives finite where a gradient is exactly 0. `eps`, which torch.optim uses, does not, so
    tangents need `eps_root`. Coupled decay adds wd theta to the gradient; decoupled decay multiplies theta by
    1 - rate wd.
    """

    betas: tuple[float, float]
    eps_root: float
    eps: float
    weight_decay: float
    decoupled: bool

    def init(self, theta: Tensor) -> Slots:
        """Two slots: the first and second moments."""
        return torch.zeros_like(theta), torch.zeros_like(theta)

    def update(
        self, theta: Tensor, gradient: Tensor, slots: Slots, rate: float, step: int
    ) -> tuple[Tensor, Slots]:
        """See the class."""
        if self.weight_decay and not self.decoupled:
            gradient = torch.add(gradient, theta, alpha=self.weight_decay)
        first = torch.lerp(gradient, slots[0], self.betas[0])
        second = torch.lerp(gradient.square(), slots[1], self.betas[1])
        spread = self.spread(second, step + 1)
        if self.weight_decay and self.decoupled:
            theta = theta * (1 - rate * self.weight_decay)
        mean = first / (1 - self.betas[0] ** (step + 1))
        return torch.sub(theta, mean / spread, alpha=rate), (first, second)

    def spread(self, second: Tensor, steps: int) -> Tensor:
        """sqrt(v^ + eps_root) + eps after some steps, from the second moment v."""
        return (second / (1 - self.betas[1] ** steps) + self.eps_root).sqrt() + self.eps


@dataclass(frozen=True)
class Varying:
    """An optimizer whose momentum, betas or weight decay change by step; later steps are like the last one."""

    of_step: tuple[Optimizer, ...]

    def init(self, theta: Tensor) -> Slots:
        """Slots of the first step."""
        return self.of_step[0].init(theta)

    def update(
        self, theta: Tensor, gradient: Tensor, slots: Slots, rate: float, step: int
    ) -> tuple[Tensor, Slots]:
        """As the optimizer of this step."""
        chosen = self.of_step[min(step, len(self.of_step) - 1)]
        return chosen.update(theta, gradient, slots, rate, step)


@dataclass(frozen=True)
class AtRates:
    """An optimizer of a parameter group with learning rates of its own, [T]; later steps have the last one."""

    optimizer: Optimizer
    rates: tuple[float, ...]

    def init(self, theta: Tensor) -> Slots:
        """Slots of the optimizer."""
        return self.optimizer.init(theta)

    def update(
        self, theta: Tensor, gradient: Tensor, slots: Slots, rate: float, step: int
    ) -> tuple[Tensor, Slots]:
        """As the optimizer, at the group's rate of this step; `rate` is that of the other parameters."""
        del rate
        return self.optimizer.update(theta, gradient, slots, self.rate(step), step)

    def rate(self, step: int) -> float:
        """The group's rate of a step."""
        return self.rates[min(step, len(self.rates) - 1)]


def at_step(optimizer: Optimizer, step: int) -> Optimizer:
    """The optimizer of a step, without rates of its own."""
    if isinstance(optimizer, AtRates):
        return at_step(optimizer.optimizer, step)
    return (
        optimizer.of_step[min(step, len(optimizer.of_step) - 1)] if isinstance(optimizer, Varying) else optimizer
    )


def at_the_end(optimizer: Optimizer) -> Optimizer:
    """The optimizer of the last step, without rates of its own."""
    return at_step(optimizer, sys.maxsize)


def build_optimizer(settings: TrainingSettings) -> Optimizer:
    """The optimizer that `training.optimizer` names."""
    if settings.optimizer == "sgd":
        return Sgd(settings.momentum, settings.weight_decay, settings.nesterov)
    first, second = settings.betas
    return Adam(
        (first, second),
        settings.eps_root,
        settings.eps,
        settings.weight_decay,
        decoupled=settings.optimizer == "adamw",
    )


def overwrite(
    optimizer: Optimizer, theta: Tensor, gradient: Tensor, slots: Slots, shrunk: Tensor, rate: float, step: int
) -> tuple[Tensor, Slots]:
    """What `optimizer.update` gives, written over the parameters and slots part by part.

    On a CPU, fresh memory for a large result takes several times as long as its arithmetic.

    Args:
        shrunk: the factors of the gradient, [K, 1], for K trajectories; [1, 1] for all.
    """
    rows = len(shrunk)
    held = [value.contiguous() for value in (theta, *slots)]
    size = theta.numel() // rows
    width = max(64, PART // rows // 64 * 64) if theta.device.type == "cpu" else max(size, 1)
    columns = [value.reshape(rows, size).split(width, 1) for value in (gradient, *held)]
    for slope, value, *before in zip(*columns, strict=True):
        moved, after = optimizer.update(value, slope * shrunk, tuple(before), rate, step)
        for part, new in zip((value, *before), (moved, *after), strict=True):
            part.copy_(new)
    return held[0], tuple(held[1:])
