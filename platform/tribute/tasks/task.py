"""The contract between a user's model and tribute: how to build it, its training loss, and its measurement.

Both functions are ordinary PyTorch. `model` is called with recorded parameters, perturbed ones, or many at once
under `torch.func.vmap`. So the functions must not change state or leave torch.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""Columns of examples or query rows, each with the same leading dimension."""

Parameters = Mapping[str, Tensor]
"""Trainable parameters by name; with K trajectories, [K, *shape] each."""

Model = Callable[..., Tensor]
"""The module of `Task.build`, bound to some parameters."""


class Task(Protocol):
    """A model with a training loss and a measurement: what you write to value your own model.

    Each row must count by itself, and the functions must not change state or leave torch. Batch normalisation does
    both unless it is in evaluation mode; use layer or group normalisation. `tribute.check_task` tries all that.

    A fourth function is optional: `token_measurement(model, queries)`, [Q, T], divides the measurement of a row
    among its T positions, in nats: it sums over T to `measurement`, and is 0 of padding. With it, the service says
    which tokens of a query a source shaped.

    A model with fused kernels of its own may ask `tribute.tasks.in_forward_mode()` while it runs, and take plain
    ones then: fused kernels have no forward mode.

    Shapes: B examples of a batch, Q queries, T positions of a row.

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
        """Build a freshly initialised module; randomness comes from torch's global generator."""
        ...

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        """Loss of each example, [B], nats; training minimises the mean."""
        ...

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        """f(theta; q) of each query row, [Q], nats; higher is better. Usually a log-likelihood."""
        ...


class Losses(Protocol):
    """Training losses as functions of named parameters, compatible with vmap, grad and jvp over them."""

    @property
    def autocasts(self) -> bool:
        """Whether plain passes run under `torch.autocast`; those inside `torch.func` do not."""
        ...

    def losses_at(self, theta: Parameters, batch: Batch) -> Tensor:
        """Training loss of each example, [B], nats."""
        ...

    def gradients_at(self, theta: Parameters, batch: Batch, weights_KB: Tensor, seed: int) -> Parameters | None:
        """Gradients of the weighted mean of losses of K trajectories, [K, *shape] each, in one pass.

        None: this model cannot be folded, and trajectories must be differentiated one by one.

        Args:
            theta: parameters of each trajectory, [K, *shape] each.
            seed: of what the forward pass draws at random, the same in all trajectories.
        """
        ...

    def outputs_at(self, theta: Parameters, batch: Batch) -> Tensor:
        """Outputs of the model inside the training loss."""
        ...

    def losses_of_outputs(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Training losses, [B], as a function of the model's outputs."""
        ...
