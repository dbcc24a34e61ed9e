"""What a query's own forward pass already holds: prediction errors and the hidden states behind them.

Legend: B rows, V model outputs, D hidden width; `...` stands for further dimensions, such as positions.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tribute.errors import ConfigError
from tribute.tasks.flat import FlatTask
from tribute.tasks.task import Batch

WIDTH = 192
"""Hidden states are taken from the last layer backwards, as many layers as have this many values in all."""


class Seen(NamedTuple):
    """Measurements [B] nats, d f / d output [B, ..., V], and hidden states side by side [B, ..., D]."""

    measurement_B: Tensor
    error: Tensor
    hidden: Tensor


def forward_pass(task: FlatTask, theta_P: Tensor, queries: Batch) -> Seen:
    """One forward pass of query rows; only the measurement itself is differentiated, by the model's outputs.

    Hidden states are what linear layers take in, and what the last layer with parameters gives out if the model
    makes its outputs of it otherwise.

    Raises:
        ConfigError: the measurement calls the model more than once, or no hidden state has the outputs' shape.
    """
    held: list[Tensor] = []
    outputs: list[Tensor] = []
    last: list[Any] = []

    def watch(module: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
        if isinstance(module, nn.Linear):
            held.append(taken[0])
        last[:] = [given]

    leaves = [m for m in task.measured.modules() if not list(m.children()) and list(m.parameters(recurse=False))]
    hooks = [leaf.register_forward_hook(watch) for leaf in leaves]
    named = task.held_on(theta_P.device) | task.pieces(theta_P)
    try:
        task.task.measurement(lambda *given: _kept(functional_call(task.measured, named, given), outputs), queries)
    finally:
        for hook in hooks:
            hook.remove()
    if len(outputs) != 1:
        raise ConfigError(
            f"The measurement calls the model {len(outputs)} times; distilled needs one call. Use another "
            "readout.method"
        )
    [output] = outputs
    if last and last[0] is not output:
        held.append(last[0])
    measured_B, error = _differentiated(task, output, queries)
    return Seen(measured_B, error, _side_by_side(held, output))


def _kept(output: Tensor, outputs: list[Tensor]) -> Tensor:
    outputs.append(output)
    return output


def _differentiated(task: FlatTask, output: Tensor, queries: Batch) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        free = output.detach().requires_grad_()
        measured_B = task.task.measurement(lambda *_: free, queries)
        [error] = torch.autograd.grad(measured_B.sum(), free)
    return measured_B.detach(), error


def _side_by_side(held: list[Tensor], output: Tensor) -> Tensor:
    fitting = [h for h in held if h.is_floating_point() and h.shape[:-1] == output.shape[:-1]]
    chosen: list[Tensor] = []
    for hidden in reversed(fitting):
        if chosen and sum(h.shape[-1] for h in chosen) + hidden.shape[-1] > WIDTH:
            break
        chosen.append(hidden)
    if not chosen:
        raise ConfigError(
            "No linear layer of this model takes states of the shape of its outputs, so distilled has nothing to "
            "go by. Use another readout.method"
        )
    return torch.cat(chosen, -1)
