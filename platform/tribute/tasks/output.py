"""The tensor that the training loss takes from a model that returns several, in a tuple or a dict."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from tribute.errors import ConfigError
from tribute.tasks.task import Batch, Model, Task


class Output:
    """Where in the outputs of a model that tensor is; a single tensor needs no search."""

    def __init__(self) -> None:
        self._spec: TreeSpec | None = None
        self._leaf = 0

    def find(self, outputs: Any, losses: Callable[[Any], Tensor]) -> None:
        """Find it: the one tensor by which the losses have a derivative.

        Args:
            losses: the training losses as a function of the outputs.

        Raises:
            ConfigError: the losses depend on several tensors, or on none.
        """
        if isinstance(outputs, Tensor) or self._spec is not None:
            return
        leaves, spec = tree_flatten(outputs)
        [leaf] = used_leaves(leaves, lambda fresh: losses(tree_unflatten(fresh, spec)))
        self._leaf, self._spec = leaf, spec

    def pick(self, outputs: Any) -> Tensor:
        """The tensor among some outputs.

        Raises:
            ConfigError: they are several, and it was not looked for.
        """
        if isinstance(outputs, Tensor):
            return outputs
        if self._spec is None:
            raise ConfigError(f"The model returns a {type(outputs).__name__}. Return one tensor")
        found: Tensor = tree_flatten(outputs)[0][self._leaf]
        return found

    def around(self, output: Tensor) -> Any:
        """Outputs that hold this tensor, and None in place of the others."""
        if self._spec is None:
            return output
        leaves: list[Tensor | None] = [None] * self._spec.num_leaves
        leaves[self._leaf] = output
        return tree_unflatten(leaves, self._spec)


def used_leaves(leaves: list[Any], losses: Callable[[list[Any]], Tensor]) -> list[int]:
    """Position of the one tensor by which the losses have a derivative.

    Raises:
        ConfigError: there are several, or none.
    """
    fresh = [value.detach().requires_grad_() if floating(value) else value for value in leaves]
    positions = [position for position, value in enumerate(fresh) if floating(value)]
    with torch.enable_grad():
        total = losses(fresh).sum()
    slopes = torch.autograd.grad(total, [fresh[position] for position in positions], allow_unused=True)
    used = [position for position, slope in zip(positions, slopes, strict=True) if slope is not None]
    if len(used) != 1:
        raise ConfigError(
            f"The loss takes {len(used)} of the {len(leaves)} values that the model returns, but this "
            "method needs "
            "one tensor. Join them in the model, or use a simulation, trak or gradient_dot"
        )
    return used


def floating(value: object) -> bool:
    """Whether a value is a tensor of floating-point numbers."""
    return isinstance(value, Tensor) and value.is_floating_point()


def outputs_inside(task: Task, model: Model, batch: Batch) -> Any:
    """What the model returns to the training loss, which must call it once."""
    seen = []

    def watched(*inputs: Any, **named: Any) -> Any:
        seen.append(model(*inputs, **named))
        return seen[-1]

    task.training_loss(watched, batch)
    if len(seen) != 1:
        raise ConfigError(
            f"The training loss calls the model {len(seen)} times, but Gauss-Newton curvature needs one call. "
            "Use curvature: hessian, or the estimator gradient_dot"
        )
    return seen[0]
