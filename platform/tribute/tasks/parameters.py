"""Arithmetic of named parameters.

Legend: P parameters in all. `...` stands for nothing, or for K trajectories.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tribute.tasks.task import Parameters


def joined(theta: Parameters, leading: int = 0) -> Tensor:
    """All parameters in one vector, [..., P]; the first `leading` dimensions of each stay."""
    return torch.cat([value.reshape(*value.shape[:leading], -1) for value in theta.values()], -1)


def combined(function: Callable[..., Tensor], *thetas: Parameters) -> dict[str, Tensor]:
    """A function of the tensors of each name."""
    return {name: function(*(theta[name] for theta in thetas)) for name in thetas[0]}


def total(theta: Parameters, leading: int = 0) -> Tensor:
    """Sum of all entries, [...]; it is finite if all of them are."""
    sums = [value.reshape(*value.shape[:leading], -1).sum(-1) for value in theta.values()]
    return torch.stack(sums).sum(0)


def square(theta: Parameters, leading: int = 0) -> Tensor:
    """Squared norm, [...]."""
    squares = [value.reshape(*value.shape[:leading], -1).square().sum(-1) for value in theta.values()]
    return torch.stack(squares).sum(0)


def beside(value: Tensor, parameter: Tensor) -> Tensor:
    """A number for each trajectory, [...] or [..., 1], shaped to multiply a parameter, [..., *shape]."""
    if value.dim() > parameter.dim():
        return value.squeeze(-1)
    return value.reshape(*value.shape, *(1,) * (parameter.dim() - value.dim()))
