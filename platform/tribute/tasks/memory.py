"""What an evaluation keeps in memory."""

from collections.abc import Callable

import torch
from torch import Tensor


def kept_bytes(evaluate: Callable[[Tensor], Tensor], theta_P: Tensor) -> int:
    """Bytes that a function of the parameters keeps for its backward pass: the size of its activations."""
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        kept[value.data_ptr()] = value.numel() * value.element_size()
        return value

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        evaluate(theta_P.clone().requires_grad_()).sum()
    return sum(kept.values())
