"""What a forward pass of queries or examples holds: prediction errors and the hidden states behind them.

Legend: B rows, V model outputs, D hidden width; `...` stands for further dimensions, such as positions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tribute.errors import ConfigError
from tribute.tasks.flat import FlatTask
from tribute.tasks.task import Batch, Model

WIDTH = 192
"""Hidden states are taken from the last layer backwards, as many layers as have this many values in all."""
REMEDY = "Use another readout.method than distilled, or another estimator than for_value"


class Seen(NamedTuple):
    """Measurements [B] nats, d f / d output [B, ..., V], and the last layers' hidden states, [B, ..., D] each."""

    measurement_B: Tensor
    error: Tensor
    hidden: list[Tensor]


def forward_pass(task: FlatTask, theta_P: Tensor, queries: Batch) -> Seen:
    """One forward pass of query rows; only the measurement itself is differentiated, by the model's outputs.

    Hidden states are what linear layers take in, and what the last layer with parameters gives out if that is
    another one, of which the model makes its outputs, as with shared embeddings.

    Raises:
        ConfigError: the measurement calls the model more than once, or no hidden state has the outputs' shape.
    """
    return _pass(task, theta_P, queries, task.task.measurement, "measurement")


def loss_pass(task: FlatTask, theta_P: Tensor, examples: Batch) -> Seen:
    """The same of training examples: their "measurement" is minus their training loss, without dropout.

    Raises:
        ConfigError: as `forward_pass`, of the training loss.
    """

    def likelihood(model: Model, batch: Batch) -> Tensor:
        return -task.task.training_loss(model, batch)

    return _pass(task, theta_P, examples, likelihood, "training loss")


def _pass(
    task: FlatTask, theta_P: Tensor, batch: Batch, function: Callable[[Model, Batch], Tensor], what: str
) -> Seen:
    held: list[Tensor] = []
    outputs: list[Tensor] = []
    beyond: list[Tensor] = []  # what the last layer gives out, unless it is linear
    named = task.held_on(theta_P.device) | task.pieces(theta_P)

    def watch(module: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
        linear = isinstance(module, nn.Linear)
        held.extend(taken[:1] if linear else ())
        beyond[:] = [] if linear else [given]

    def model(*given: Tensor) -> Tensor:
        with torch.no_grad():
            output = functional_call(task.measured, named, given)
        held.extend(each for each in beyond if each is not output)
        outputs.append(output.requires_grad_())
        return output

    with _watched(task.measured, watch), torch.enable_grad():
        found_B = function(model, batch)
        total = found_B.sum()
    if len(outputs) != 1:
        raise ConfigError(
            f"The {what} calls the model {len(outputs)} times; prediction errors are read from one call. {REMEDY}"
        )
    [error] = torch.autograd.grad(total, outputs)
    return Seen(found_B.detach(), error, _last(held, outputs[0]))


@contextmanager
def _watched(module: nn.Module, watch: Callable[..., None]) -> Iterator[None]:
    """Call `watch` after every layer that holds parameters itself."""
    leaves = [m for m in module.modules() if not list(m.children()) and list(m.parameters(recurse=False))]
    hooks = [leaf.register_forward_hook(watch) for leaf in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _last(held: list[Tensor], output: Tensor) -> list[Tensor]:
    fitting = [h for h in held if h.is_floating_point() and h.shape[:-1] == output.shape[:-1]]
    chosen: list[Tensor] = []
    for hidden in reversed(fitting):
        if chosen and sum(h.shape[-1] for h in chosen) + hidden.shape[-1] > WIDTH:
            break
        chosen.append(hidden)
    if not chosen:
        raise ConfigError(
            f"No linear layer of this model takes states of the shape of its outputs: nothing to go by. {REMEDY}"
        )
    return chosen
