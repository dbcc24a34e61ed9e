"""A task as functions of one flat parameter vector, which is what simulations move.

Legend: P parameters, B examples, Q query rows.
"""

import importlib
import math
from dataclasses import fields, is_dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import functional_call

from tribute.config import TaskSettings
from tribute.errors import ConfigError
from tribute.tasks.byte_lm import ByteLm
from tribute.tasks.classifier import Classifier
from tribute.tasks.task import Batch, Model, Task

BUILT_IN: dict[str, type] = {"byte_lm": ByteLm, "classifier": Classifier}


class FlatTask:
    """Losses and measurements of a task at theta, [P]; works under vmap, grad and jvp over theta."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._module = task.build()
        self._shapes = {name: value.shape for name, value in self._module.named_parameters()}
        self.size = sum(math.prod(shape) for shape in self._shapes.values())

    def initial(self, seed: int) -> Tensor:
        """Parameters of a module built under `seed`, [P]; torch's global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.task.build()
        return torch.cat([value.detach().reshape(-1) for _, value in module.named_parameters()])

    def losses(self, theta_P: Tensor, batch: Batch) -> Tensor:
        """Training loss of each example, [B], nats."""
        return self.task.training_loss(self._bound(theta_P), batch)

    def measure(self, theta_P: Tensor, queries: Batch) -> Tensor:
        """Measurement of each query row, [Q], nats."""
        return self.task.measurement(self._bound(theta_P), queries)

    def _bound(self, theta_P: Tensor) -> Model:
        pieces = theta_P.split([math.prod(shape) for shape in self._shapes.values()])
        parameters = {
            name: piece.view(shape) for (name, shape), piece in zip(self._shapes.items(), pieces, strict=True)
        }
        return lambda *inputs: functional_call(self._module, parameters, inputs)


def build_task(settings: TaskSettings) -> FlatTask:
    """The task that `project.yaml` names.

    Raises:
        ConfigError: there is no such task or factory, or it does not take these options.
    """
    factory = BUILT_IN.get(settings.name) or _import_factory(settings.name)
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.options.items()}
    try:
        return FlatTask(cast(Task, factory(**options)))
    except TypeError as error:
        known = f" It takes: {', '.join(f.name for f in fields(factory))}." if is_dataclass(factory) else ""
        raise ConfigError(f"task.options do not fit task {settings.name!r}: {error}.{known}") from error


def _import_factory(name: str) -> Any:
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(
            f"Task {name!r} is unknown. Built in: {', '.join(BUILT_IN)}; your own: package.module:factory"
        )
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"Task {name!r} cannot be imported ({error}). Install its package, or put its folder on PYTHONPATH"
        ) from error
