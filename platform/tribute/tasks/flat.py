"""A task as functions of one flat parameter vector.

Legend: P parameters, B examples, Q query rows.
"""

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.ids import listed
from tribute.tasks.bound import BoundModule
from tribute.tasks.folded import Together
from tribute.tasks.modes import repeat_autocast, values_only
from tribute.tasks.output import Output, outputs_inside
from tribute.tasks.task import Batch, Model, Parameters, Task
from tribute.tasks.transforms import in_transform


class FlatTask(BoundModule):
    """Losses and measurements of a task at theta: its trainable parameters by name, or concatenated, [P]."""

    def __init__(self, task: Task, precision: str = "float32") -> None:
        super().__init__(task, precision)
        self._output = Output()

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
        task._module, task._precision, task._mixed = self.measured, torch.float32, False
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
        with repeat_autocast() if self._mixed and not in_transform() else nullcontext(), values_only():
            return self.task.training_loss(self._bound(self._module, pieces, self._precision), batch)

    def measure_at(self, pieces: Mapping[str, Tensor], queries: Batch) -> Tensor:
        """`measure` at named parameters, in full precision and evaluation mode (no dropout)."""
        return self.measure_by(self.measured_model(pieces), queries)

    def measure_by(self, model: Model, queries: Batch) -> Tensor:
        """Measurement of each query row by a model, [Q], nats.

        Raises:
            ConfigError: the queries lack a column, or the measurement is not one number per row.
        """
        rows = len(next(iter(queries.values())))
        try:
            measured_Q = values_only()(self.task.measurement)(model, queries)
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
