"""A task as functions of one flat parameter vector.

Legend: P parameters, B examples, Q query rows.
"""

import copy
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import reduce
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from tribute.config import TaskSettings
from tribute.errors import ConfigError
from tribute.files import nearest_name
from tribute.files.local_modules import search_beside
from tribute.ids import listed
from tribute.tasks.byte_lm import ByteLm
from tribute.tasks.classifier import Classifier
from tribute.tasks.frozen import CPU, FROZEN_SEED, PartlyFrozen, frozen_state, under_seed
from tribute.tasks.huggingface import HuggingFace, huggingface_task
from tribute.tasks.modes import values_only
from tribute.tasks.module import built, copied
from tribute.tasks.output import Output
from tribute.tasks.task import Batch, Model, Task

BUILT_IN: dict[str, Callable[..., Task]] = {
    "byte_lm": ByteLm,
    "classifier": Classifier,
    "huggingface": huggingface_task,
}
FOLDERS = ("model", "adapter")
"""Options of `huggingface` that may name folders beside `project.yaml`."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Losses(Protocol):
    """Training losses as functions of flat parameters, compatible with vmap, grad and jvp over them."""

    def losses(self, theta_P: Tensor, batch: Batch) -> Tensor:
        """Training loss of each example, [B], nats."""
        ...

    def outputs(self, theta_P: Tensor, batch: Batch) -> Tensor:
        """Outputs of the model inside the training loss."""
        ...

    def losses_of_outputs(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Training losses, [B], as a function of the model's outputs."""
        ...


class FlatTask(PartlyFrozen):
    """Losses and measurements of a task at theta, [P]: the concatenation of its trainable parameters.

    Parameters without `requires_grad`, and buffers, are `frozen`: by default as `Task.build` gives them under a
    fixed seed. With bfloat16, forward and backward passes are rounded; parameters, losses and measurements stay
    float32. Theta has the widest dtype of the parameters, at least float32; the model sees each in its own.
    """

    def __init__(self, task: Task, precision: str = "float32") -> None:
        self.task, self._precision, self._output = task, PRECISIONS[precision], Output()
        with under_seed(FROZEN_SEED):
            self._module = built(task)
        self.measured = copied(self._module).eval()
        trainable = {name: value for name, value in self._module.named_parameters() if value.requires_grad}
        self.shapes = {name: value.shape for name, value in trainable.items()}
        dtypes = {name: value.dtype for name, value in trainable.items()}
        self.dtype = reduce(torch.promote_types, dtypes.values(), torch.float32)
        self._narrow = {name: dtype for name, dtype in dtypes.items() if dtype != self.dtype}
        self.size = sum(math.prod(shape) for shape in self.shapes.values())
        self._held = {CPU: frozen_state(self._module)}

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
    def module(self) -> nn.Module:
        """The module in the mode that `Task.build` gives it, as training uses it."""
        return self._module

    def measured_model(self, pieces: Mapping[str, Tensor]) -> Model:
        """The model that measures: at named parameters, in full precision and evaluation mode."""
        return self._bound(self.measured, pieces, torch.float32)

    def measured_at(self, theta_P: Tensor) -> nn.Module:
        """A copy of the module that measures: views of theta, copies in a narrower dtype. Tied ones stay tied."""
        named = self.held_on(theta_P.device) | self.pieces(theta_P)
        replaced: dict[int, Tensor] = {id(value): named[name] for name, value in self.measured.named_buffers()}
        for name, value in self.measured.named_parameters():
            replaced[id(value)] = nn.Parameter(named[name], requires_grad=False)
        return copied(self.measured, replaced)

    @property
    def evaluated(self) -> "FlatTask":
        """The same task, with training losses also in full precision and without dropout."""
        task = copy.copy(self)
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

    def find_output(self, theta_P: Tensor, batch: Batch) -> None:
        """Find what the loss takes from a model that returns several tensors; `outputs` needs it then.

        Raises:
            ConfigError: the training loss takes several tensors, or calls the model more than once.
        """
        outputs = self._outputs(self.pieces(theta_P), batch)
        self._output.find(outputs, lambda given: self.task.training_loss(lambda *_, **__: given, batch))

    def outputs_at(self, pieces: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """`outputs` at named parameters.

        Raises:
            ConfigError: the training loss calls the model more than once, or takes one of several tensors that
                `find_output` was not asked for.
        """
        return self._output.pick(self._outputs(pieces, batch))

    def _outputs(self, pieces: Mapping[str, Tensor], batch: Batch) -> Any:
        return _outputs_inside(self.task, self._bound(self._module, pieces, self._precision), batch)

    def pieces(self, theta_P: Tensor) -> dict[str, Tensor]:
        """Named parameters, as views of theta."""
        parts = theta_P.split([math.prod(shape) for shape in self.shapes.values()])
        return {name: self.piece(name, part) for name, part in zip(self.shapes, parts, strict=True)}

    def piece(self, name: str, part: Tensor) -> Tensor:
        """A parameter from its part of theta: in its own shape and, if the model has several, its own dtype.

        From parts of several thetas, [..., n], several of it.
        """
        return part.view(*part.shape[:-1], *self.shapes[name]).to(self._narrow.get(name, part.dtype))

    def _bound(self, module: nn.Module, pieces: Mapping[str, Tensor], precision: torch.dtype) -> Model:
        named = self.held_on(next(iter(pieces.values())).device) | dict(pieces)
        if precision is torch.float32:
            return lambda *inputs, **options: functional_call(module, named, inputs, options)
        rounded = {name: _rounded(value, precision) for name, value in named.items()}

        def model(*inputs: Any, **options: Any) -> Any:
            given = tree_map(lambda value: _rounded(value, precision), (inputs, options))
            return tree_map(lambda value: _rounded(value, torch.float32), functional_call(module, rounded, *given))

        return model


def _outputs_inside(task: Task, model: Model, batch: Batch) -> Any:
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


def kept_bytes(evaluate: Callable[[Tensor], Tensor], theta_P: Tensor) -> int:
    """Bytes that a function of the parameters keeps for its backward pass: the size of its activations."""
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        kept[value.data_ptr()] = value.numel() * value.element_size()
        return value

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        evaluate(theta_P.clone().requires_grad_()).sum()
    return sum(kept.values())


def build_task(settings: TaskSettings | Task, precision: str = "float32") -> FlatTask:
    """Build the task that the `task` section of `project.yaml` names, or wrap a task object.

    Raises:
        ConfigError: the task or factory does not exist, or rejects the options.
    """
    if not isinstance(settings, TaskSettings):
        return FlatTask(settings, precision)
    search_beside(settings.folder)
    factory = BUILT_IN.get(settings.name) or _import_factory(settings.name)
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.options.items()}
    if factory is huggingface_task:
        named = {key: value for key in FOLDERS if isinstance(value := options.get(key), str)}
        options |= {key: settings.located(value) for key, value in named.items()}
    try:
        return FlatTask(cast(Task, factory(**options)), precision)
    except TypeError as error:
        made = HuggingFace if factory is huggingface_task else factory
        known = f" It takes: {', '.join(f.name for f in fields(made))}." if is_dataclass(made) else ""
        raise ConfigError(f"task.options do not fit task {settings.name!r}: {error}.{known}") from error
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise ConfigError(
            f"Task {settings.name!r} cannot be built: {type(error).__name__}: {str(error)[:300]}. Correct the "
            "task, or task.options"
        ) from error


def _import_factory(name: str) -> Any:
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(
            f"Task {name!r} is unknown. Use a built-in task ({', '.join(BUILT_IN)}) or your own: "
            "package.module:factory"
        )
    if module_name == "__main__":
        raise ConfigError(
            f"Task {name!r} is of a notebook or a program, which workers cannot import. Write it to a file beside "
            f"project.yaml, such as mytask.py, and name it mytask:{attribute}; or give the class to tribute.Study"
        )
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        problem = f"{type(error).__name__}: {str(error)[:300]}"
        raise ConfigError(f"Task {name!r} cannot be imported ({problem}). {_import_remedy(error)}") from error
    if not hasattr(module, attribute):
        file = f" The module is {module.__file__}" if getattr(module, "__file__", None) else ""
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module_name]
        raise ConfigError(f"Task {name!r}: {module_name} has no {attribute}. {nearest_name(attribute, own)}{file}")
    return getattr(module, attribute)


def _import_remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "Install its package, or put its file beside project.yaml"
    if isinstance(error, SystemExit):
        return 'A module of a task only defines: put what runs as a program under `if __name__ == "__main__":`'
    return "Correct the module"


def _rounded(value: Any, precision: torch.dtype) -> Any:
    return value.to(precision) if isinstance(value, Tensor) and value.is_floating_point() else value
