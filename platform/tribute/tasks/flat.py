"""A task as functions of one flat parameter vector.

Legend: P parameters, B examples, Q query rows.
"""

import copy
import math
from collections.abc import Mapping
from functools import cached_property, reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tribute.errors import ConfigError
from tribute.ids import listed
from tribute.tasks.folded import Together
from tribute.tasks.frozen import CPU, FROZEN_SEED, PartlyFrozen, frozen_state, under_seed
from tribute.tasks.modes import values_only
from tribute.tasks.module import built, copied, without_values
from tribute.tasks.output import Output, outputs_inside
from tribute.tasks.precision import PRECISIONS, rounded, rounding
from tribute.tasks.task import Batch, Model, Parameters, Task


class FlatTask(PartlyFrozen):
    """Losses and measurements of a task at theta: its trainable parameters by name, or concatenated, [P].

    Parameters without `requires_grad`, and buffers, are `frozen`: by default as `Task.build` gives them under a
    fixed seed. With bfloat16, forward and backward passes are rounded; parameters, losses and measurements stay
    float32, and so do buffers, where rounding would shift the phases of positions. Theta has the widest dtype of
    the parameters, at least float32; the model sees each in its own.
    """

    def __init__(self, task: Task, precision: str = "float32") -> None:
        self.task, self._precision, self._output = task, PRECISIONS[precision], Output()
        with under_seed(FROZEN_SEED):
            module = built(task)
        self._module = without_values(module)
        self.measured = copied(self._module).eval()
        trainable = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self.shapes = {name: value.shape for name, value in trainable.items()}
        dtypes = {name: value.dtype for name, value in trainable.items()}
        self.dtype = reduce(torch.promote_types, dtypes.values(), torch.float32)
        self._narrow = {name: dtype for name, dtype in dtypes.items() if dtype != self.dtype}
        self.size = sum(math.prod(shape) for shape in self.shapes.values())
        self._held = {CPU: frozen_state(module)}

    def initial(self, seed: int) -> Tensor:
        """Initial parameters under a seed, [P]; torch's global generator is restored."""
        with under_seed(seed):
            module = built(self.task)
        return self.flatten(dict(module.named_parameters()))

    def flatten(self, named: Mapping[str, Tensor]) -> Tensor:
        """Concatenate named parameters to one vector, [P].

        Raises:
            ConfigError: a parameter is missing or has another shape.
        """
        wrong = [name for name, shape in self.shapes.items() if name not in named or named[name].shape != shape]
        if wrong:
            raise ConfigError(
                f"These parameters of the task are missing or have another shape: {listed(wrong)}. Set "
                "task.options to those of the stored model"
            )
        return torch.cat([named[name].detach().reshape(-1).to(self.dtype) for name in self.shapes])

    @property
    def rounded_to(self) -> torch.dtype:
        """The precision of a training's forward pass."""
        return self.dtype if self._precision is torch.float32 else self._precision

    @property
    def module(self) -> nn.Module:
        """The module in the mode that `Task.build` gives it, as training uses it; without values."""
        return self._module

    def measured_model(self, pieces: Mapping[str, Tensor]) -> Model:
        """The model that measures: at named parameters, in full precision and evaluation mode."""
        return self._bound(self.measured, pieces, torch.float32)

    def measured_at(self, theta_P: Tensor) -> nn.Module:
        """A copy of the module that measures: views of theta, copies in a narrower dtype. Tied ones stay tied."""
        named = self.held_on(theta_P.device) | self._narrowed(self.pieces(theta_P))
        replaced: dict[int, Tensor] = {id(value): named[name] for name, value in self.measured.named_buffers()}
        for name, value in self.measured.named_parameters():
            replaced[id(value)] = nn.Parameter(named[name], requires_grad=False)
        return copied(self.measured, replaced)

    def gradients_at(self, theta: Parameters, batch: Batch, weights_KB: Tensor, seed: int) -> Parameters | None:
        """See `Losses`."""
        return self.together(tuple(theta)).gradient(theta, {}, batch, weights_KB, seed)

    def together(self, names: tuple[str, ...]) -> Together:
        """Trajectories that differ in some parameters."""
        if names not in self._together:
            self._together[names] = Together(self, names)
        return self._together[names]

    @cached_property
    def _together(self) -> dict[tuple[str, ...], Together]:
        return {}

    @property
    def evaluated(self) -> "FlatTask":
        """The same task, with training losses also in full precision and without dropout."""
        task = copy.copy(self)
        vars(task).pop("_together", None)
        task._module, task._precision = self.measured, torch.float32
        return task

    def losses(self, theta_P: Tensor, batch: Batch) -> Tensor:
        """Training loss of each example, [B], nats."""
        return self.losses_at(self.pieces(theta_P), batch)

    def measure(self, theta_P: Tensor, queries: Batch) -> Tensor:
        """Measurement of each query row, [Q], nats."""
        return self.measure_at(self.pieces(theta_P), queries)

    def outputs(self, theta_P: Tensor, batch: Batch) -> Tensor:
        """Outputs of the model inside the training loss; raises what `outputs_at` raises."""
        return self.outputs_at(self.pieces(theta_P), batch)

    def losses_of_outputs(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Training losses, [B], as a function of the model's outputs."""
        return self.task.training_loss(lambda *_, **__: self._output.around(outputs), batch)

    def losses_at(self, pieces: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """`losses` at named parameters."""
        return values_only()(self.task.training_loss)(self._bound(self._module, pieces, self._precision), batch)

    def measure_at(self, pieces: Mapping[str, Tensor], queries: Batch) -> Tensor:
        """`measure` at named parameters, in full precision and evaluation mode (no dropout).

        Raises:
            ConfigError: the queries lack a column, or the measurement is not one number per row.
        """
        rows = len(next(iter(queries.values())))
        try:
            measured_Q = values_only()(self.task.measurement)(self.measured_model(pieces), queries)
        except KeyError as error:
            raise ConfigError(
                f"The task's measurement needs column {error}, but the queries have {listed(queries)}. Add the "
                "column to the queries"
            ) from error
        if measured_Q.shape != (rows,):
            raise ConfigError(
                f"The task's measurement returns shape {tuple(measured_Q.shape)} for {rows} queries, expected "
                f"{(rows,)}. Return one number per query"
            )
        return measured_Q

    def find_output(self, theta: Parameters, batch: Batch) -> None:
        """Find what the loss takes from a model that returns several tensors; `outputs` needs it then.

        Raises:
            ConfigError: the training loss takes several tensors, or calls the model more than once.
        """
        outputs = self._outputs(theta, batch)
        self._output.find(outputs, lambda given: self.task.training_loss(lambda *_, **__: given, batch))

    def outputs_at(self, pieces: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """`outputs` at named parameters.

        Raises:
            ConfigError: the training loss calls the model more than once, or takes one of several tensors that
                `find_output` was not asked for.
        """
        return self._output.pick(self._outputs(pieces, batch))

    def _outputs(self, pieces: Mapping[str, Tensor], batch: Batch) -> Any:
        return outputs_inside(self.task, self._bound(self._module, pieces, self._precision), batch)

    def pieces(self, theta: Tensor) -> dict[str, Tensor]:
        """Named parameters, [..., *shape] each, as views of theta, [..., P]."""
        parts = theta.split([math.prod(shape) for shape in self.shapes.values()], -1)
        return {name: self.piece(name, part) for name, part in zip(self.shapes, parts, strict=True)}

    def piece(self, name: str, part: Tensor) -> Tensor:
        """A parameter from its part of theta, [..., n] to [..., *shape]."""
        return part.view(*part.shape[:-1], *self.shapes[name])

    def _narrowed(self, pieces: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Parameters in the dtypes of the model, if it has several."""
        return {name: value.to(self._narrow.get(name, value.dtype)) for name, value in pieces.items()}

    def _bound(self, module: nn.Module, pieces: Mapping[str, Tensor], precision: torch.dtype) -> Model:
        named = self._values(pieces, precision)
        return rounding(lambda *inputs, **options: functional_call(module, named, inputs, options), precision)

    def values(self, pieces: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the module that trains computes with: trained, frozen and buffers, each as it sees it."""
        return self._values(pieces, self._precision)

    def rounding(self, model: Model) -> Model:
        """A model with inputs in the precision of training and outputs in float32."""
        return rounding(model, self._precision)

    def _values(self, pieces: Mapping[str, Tensor], precision: torch.dtype) -> dict[str, Tensor]:
        named = self.held_on(next(iter(pieces.values())).device) | self._narrowed(pieces)
        if precision is torch.float32:
            return named
        buffers = {name for name, _ in self._module.named_buffers()}
        return {n: value if n in buffers else rounded(value, precision) for n, value in named.items()}
