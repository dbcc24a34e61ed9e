"""The contract between a user's model and tribute: how to build it, what it is trained on, what is measured.

Both functions are written like ordinary PyTorch; `model` is called with the parameters of the moment, which are
a recorded trajectory's, a perturbed one's, or many at once under `torch.func.vmap`. So they must not change
state, branch on tensor values, or leave torch.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""Columns of examples or query rows, each with the same leading dimension."""

Model = Callable[..., Tensor]
"""The module of `Task.build`, called with some parameters."""


class Task(Protocol):
    """What a user writes to have their own model valued: how to build it, and two functions of a batch.

    Shapes: B examples of a batch, Q queries.

    >>> class Regression:
    ...     def build(self):
    ...         return torch.nn.Linear(3, 1)
    ...
    ...     def training_loss(self, model, batch):  # [B]
    ...         return (model(batch["x"])[:, 0] - batch["y"]) ** 2 / 2
    ...
    ...     def measurement(self, model, queries):  # [Q]
    ...         return -((model(queries["x"])[:, 0] - queries["y"]) ** 2) / 2
    >>> rows = {name: {"x": numpy.eye(3) * size, "y": numpy.ones(3)} for name, size in (("a", 1), ("b", 2))}
    >>> study = tribute.Study(Regression(), rows, training=tribute.TrainingSettings(batch_size=2))
    >>> study.train().steps
    3
    """

    def build(self) -> nn.Module:
        """A freshly initialised module; its randomness comes from torch's global generator."""
        ...

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        """Loss of each example, [B], nats: what training averages."""
        ...

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        """f(theta; q) of each query row, [Q], nats: higher is better, a log-likelihood as a rule."""
        ...
