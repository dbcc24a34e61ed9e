"""Losses and gradients of many trajectories in one pass, wherever they are those of one after the other.

Legend: K trajectories, B examples of a batch.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from tribute.tasks.folded.module import FoldedModule, forks, owners
from tribute.tasks.modes import allow_recomputation, values_only
from tribute.tasks.parameters import square
from tribute.tasks.task import Batch, Model, Parameters, Task
from tribute.tasks.transforms import gradients_of, seeded

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest relative difference of two gradients that count as one, by precision; of a lower precision 5e-2."""
SHIFT = 0.1
"""By how much parameters are shifted to tell trajectories apart, as a part of their spread."""


class Foldable(Protocol):
    """What folding asks of a task at named parameters."""

    task: Task

    @property
    def module(self) -> nn.Module:
        """The module as training uses it."""
        ...

    @property
    def rounded_to(self) -> torch.dtype:
        """The precision of its forward pass."""
        ...

    def values(self, pieces: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All parameters and buffers, as the module sees them."""
        ...

    def rounding(self, model: Model) -> Model:
        """A model with inputs in the precision of training and outputs in float32."""
        ...

    def losses_at(self, theta: Parameters, batch: Batch) -> Tensor:
        """Training loss of each example, [B], nats."""
        ...


class Together:
    """The training losses of K trajectories that differ in some parameters.

    Whether a model can be folded is tried: for every number of trajectories and shape of a batch, the gradients at
    shifted parameters are compared once with those of each trajectory alone.
    """

    def __init__(self, task: Foldable, names: Sequence[str]) -> None:
        self._task, self._names = task, tuple(names)
        self._folded, self._known = dict[str, FoldedModule](), dict[object, str | None]()
        found = owners(task.module, self._names)
        self._tried = [] if found == [task.module] else forks(task.module, self._names)

    def gradient(
        self, theta: Parameters, rest: Parameters, batch: Batch, weights_KB: Tensor, seed: int
    ) -> Parameters | None:
        """Gradient of the weighted mean of losses of each trajectory, [K, *shape]; None: it cannot be folded.

        Args:
            theta: parameters in the scope, [K, *shape] each.
            rest: all other trained parameters.
            seed: of what the forward pass draws at random.
        """
        fork = self._fork(theta, rest, batch)
        return None if fork is None else self._at(fork, theta, rest, batch, weights_KB, seed)

    def _at(
        self, fork: str, theta: Parameters, rest: Parameters, batch: Batch, weights_KB: Tensor, seed: int
    ) -> dict[str, Tensor]:
        leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
        try:
            with torch.enable_grad(), allow_recomputation(), seeded(seed, weights_KB.device):
                losses_KB = self._losses(fork, leaves, rest, batch)
                loss = (weights_KB.to(losses_KB.dtype) * losses_KB).mean(1).sum()
                return gradients_of(loss, leaves)
        finally:
            if fork in self._folded:
                self._folded[fork].clear()

    def _losses(self, fork: str, theta: Parameters, rest: Parameters, batch: Batch) -> Tensor:
        """Losses of every trajectory, [K, B]."""
        task, count = self._task, len(next(iter(theta.values())))
        if fork not in self._folded:
            self._folded[fork] = FoldedModule(task.module, self._names, fork)
        folded, values = self._folded[fork], task.values({**rest, **theta})
        folded.place({n: values[n] for n in theta}, {n: v for n, v in values.items() if n not in theta})
        repeated = {name: column.repeat(count, *(1,) * (column.dim() - 1)) for name, column in batch.items()}
        with values_only():
            return task.task.training_loss(task.rounding(folded), repeated).unflatten(0, (count, -1))

    def _fork(self, theta: Parameters, rest: Parameters, batch: Batch) -> str | None:
        """Where trajectories part, for batches of this shape; None: they must be run one by one."""
        count = len(next(iter(theta.values())))
        shape = (count, *((name, *column.shape) for name, column in sorted(batch.items())))
        if shape not in self._known:
            shifted = _shifted(theta) if self._tried else theta
            while self._tried and not self._same(self._tried[0], shifted, rest, batch):
                self._tried = self._tried[1:]
            self._known[shape] = self._tried[0] if self._tried else None
        return self._known[shape]

    def _same(self, fork: str, theta: Parameters, rest: Parameters, batch: Batch) -> bool:
        """Whether gradients in one pass are those of each trajectory alone, and differ between trajectories."""
        rows, first = len(next(iter(batch.values()))), next(iter(theta.values()))
        weights_KB = torch.linspace(0.5, 1.5, rows, device=first.device).expand(len(first), -1)
        try:
            found = self._at(fork, theta, rest, batch, weights_KB, 0)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
            return False  # a shape that does not fit, or a parameter that another module looks at
        error, size, apart = 0.0, 0.0, [0.0] * len(first)
        before: dict[str, Tensor] = {}
        for row in range(len(first)):
            leaves = {name: value[row].detach().requires_grad_() for name, value in theta.items()}
            with torch.enable_grad(), seeded(0, first.device):
                losses_B = self._task.losses_at({**rest, **leaves}, batch)
                alone = gradients_of((weights_KB[row].to(losses_B.dtype) * losses_B).mean(), leaves)
            error += _square({name: found[name][row] - value for name, value in alone.items()})
            size += _square(alone)
            apart[row] = _square({n: value - before[n] for n, value in alone.items()}) if before else torch.inf
            before = alone
        least = TOLERANCES.get(self._task.rounded_to, 5e-2) ** 2 * size
        return error <= least < min(apart)


def _square(theta: Parameters) -> float:
    return float(square(theta))


def _shifted(theta: Parameters) -> Parameters:
    """Parameters at which every trajectory has losses of its own."""
    with seeded(0, next(iter(theta.values())).device), torch.no_grad():
        return {
            name: value + SHIFT * value.std(unbiased=False).clamp(min=1e-3) * torch.randn_like(value)
            for name, value in theta.items()
        }
