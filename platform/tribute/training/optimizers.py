"""Optimizers as pure functions: parameters, gradient and slots in, parameters and slots out.

They act on any leading shape ([P], or [K, P] for K trajectories at once) and can be differentiated.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tribute.config import Training

Slots = tuple[Tensor, ...]


class Optimizer(Protocol):
    """One update rule; `step` counts from 0."""

    def init(self, theta: Tensor) -> Slots:
        """Slots (momenta) before the first step, each shaped like `theta`."""
        ...

    def update(
        self, theta: Tensor, gradient: Tensor, slots: Slots, rate: float, step: int
    ) -> tuple[Tensor, Slots]:
        """Parameters and slots after the step."""
        ...


@dataclass(frozen=True)
class Sgd:
    """Heavy-ball momentum: m <- mu m + g + wd theta; theta <- theta - rate m."""

    momentum: float
    weight_decay: float

    def init(self, theta: Tensor) -> Slots:
        """One slot: the momentum."""
        return (torch.zeros_like(theta),)

    def update(
        self, theta: Tensor, gradient: Tensor, slots: Slots, rate: float, step: int
    ) -> tuple[Tensor, Slots]:
        """See the class."""
        del step
        if self.weight_decay:
            gradient = gradient + self.weight_decay * theta
        momentum = self.momentum * slots[0] + gradient
        return theta - rate * momentum, (momentum,)


@dataclass(frozen=True)
class AdamW:
    """AdamW with eps inside the root: theta <- (1 - rate wd) theta - rate m^ / sqrt(v^ + eps).

    Outside the root, eps gives NaN derivatives wherever a gradient is exactly 0.
    """

    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def init(self, theta: Tensor) -> Slots:
        """Two slots: the first and second moments."""
        return torch.zeros_like(theta), torch.zeros_like(theta)

    def update(
        self, theta: Tensor, gradient: Tensor, slots: Slots, rate: float, step: int
    ) -> tuple[Tensor, Slots]:
        """See the class."""
        first = torch.lerp(gradient, slots[0], self.betas[0])
        second = torch.lerp(gradient.square(), slots[1], self.betas[1])
        corrected = [1 - beta ** (step + 1) for beta in self.betas]
        direction = (first / corrected[0]) * torch.rsqrt(second / corrected[1] + self.eps)
        if self.weight_decay:
            theta = theta * (1 - rate * self.weight_decay)
        return theta - rate * direction, (first, second)


def build_optimizer(settings: Training) -> Optimizer:
    """The optimizer that `training` names."""
    if settings.optimizer == "sgd":
        return Sgd(settings.momentum, settings.weight_decay)
    return AdamW(settings.betas, settings.eps, settings.weight_decay)
