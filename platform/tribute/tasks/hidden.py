"""Prediction errors and hidden states of a forward pass of queries or examples.

Legend: B rows, V model outputs, D hidden width; `...` stands for further dimensions, such as positions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from tribute.errors import ConfigError
from tribute.tasks.flat import FlatTask
from tribute.tasks.module import is_transposed_linear
from tribute.tasks.output import floating
from tribute.tasks.task import Batch, Model

MAX_HIDDEN_WIDTH = 192
"""Hidden states are taken from the last layer backwards, up to this many values in total."""
REMEDY = "Use another readout.method than distilled, or another estimator than for_value and representations"


class ForwardPass(NamedTuple):
    """Measurements [B], nats; d f / d output, and output, [B, ..., V]; hidden states of the last layers.

    These are [B, ..., D] each.
    """

    measurement_B: Tensor
    error: Tensor
    hidden: list[Tensor]
    output: Tensor


class WatchedModel:
    """The model that measures, at fixed parameters, and what it computes on the way. One thread at a time.

    Made once for many passes: the parameters are set and the layers are watched from then on. It shares the memory
    of `theta_P`, except for parameters of a narrower dtype.

    Hidden states are the inputs of linear layers. If the last layer with parameters is not linear, its output
    counts too: with shared embeddings, the model computes its outputs from it.
    """

    def __init__(self, task: FlatTask, theta_P: Tensor) -> None:
        self._task, self._module = task.task, task.measured_at(theta_P)
        self._hidden: dict[torch.Size, list[Tensor]] = {}
        self._last: list[Tensor] = []  # output of the last layer, unless it is linear
        for module in [*self._module.modules()]:
            if not list(module.children()) and list(module.parameters(recurse=False)):
                module.register_forward_hook(self._watch, with_kwargs=True)

    def forward_pass(self, queries: Batch) -> ForwardPass:
        """Forward pass of query rows; only the measurement is differentiated, by the outputs of the model.

        Raises:
            ConfigError: the measurement calls the model more than once, or no hidden state matches the outputs'
                shape.
        """
        return self._pass(self._task.measurement, queries, "measurement")

    def loss_pass(self, examples: Batch) -> ForwardPass:
        """Like `forward_pass`, for training examples: the measurement is minus the training loss, without dropout.

        Raises:
            ConfigError: as `forward_pass`, for the training loss.
        """

        def likelihood(model: Model, batch: Batch) -> Tensor:
            return -self._task.training_loss(model, batch)

        return self._pass(likelihood, examples, "training loss")

    def _pass(self, function: Callable[[Model, Batch], Tensor], batch: Batch, what: str) -> ForwardPass:
        outputs: list[list[Tensor]] = []

        def model(*inputs: Any, **options: Any) -> Any:
            with torch.no_grad():
                output = self._module(*inputs, **options)
            given = [leaf for leaf in tree_leaves(output) if floating(leaf)]
            for state in self._last:
                if all(state is not leaf for leaf in given):
                    _keep(self._hidden, state)
            outputs.append([leaf.requires_grad_() for leaf in given])
            return output

        try:
            with torch.enable_grad():
                value_B = function(model, batch)
                total = value_B.sum()
            if len(outputs) != 1:
                raise ConfigError(
                    f"The {what} calls the model {len(outputs)} times, and prediction errors need one. {REMEDY}"
                )
            errors = torch.autograd.grad(total, outputs[0], allow_unused=True)
            used = [(output, error) for output, error in zip(outputs[0], errors, strict=True) if error is not None]
            if len(used) != 1:
                raise ConfigError(f"The {what} takes {len(used)} tensors of the model, expected one. {REMEDY}")
            [(output, error)] = used
            return ForwardPass(value_B.detach(), error, _last(self._hidden, output), output.detach())
        finally:
            self._hidden, self._last = {}, []

    def _watch(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        linear = isinstance(module, nn.Linear) or is_transposed_linear(module)
        if linear:
            _keep(self._hidden, [*inputs, *named.values()][0])
        self._last = [] if linear or not floating(output) else [output]


def _keep(hidden: dict[torch.Size, list[Tensor]], state: Tensor) -> None:
    """Add a hidden state to those of its leading shape, and drop the ones before that no longer count.

    Memory that is kept costs more than the arithmetic: what follows cannot use it again.
    """
    if not state.dim():
        return
    kept, width = [state], state.shape[-1]
    for before in reversed(hidden.get(state.shape[:-1], [])):
        width += before.shape[-1]
        if width > MAX_HIDDEN_WIDTH:
            break
        kept.insert(0, before)
    hidden[state.shape[:-1]] = kept


def _last(hidden: dict[torch.Size, list[Tensor]], output: Tensor) -> list[Tensor]:
    chosen = hidden.get(output.shape[:-1])
    if not chosen:
        raise ConfigError(
            f"No hidden state of this model has the shape of its outputs, except for the last dimension. {REMEDY}"
        )
    return chosen[::-1]
