"""The module of a task, bound to parameters by name.

Legend: P parameters.
"""

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves, tree_map

from tribute.errors import ConfigError
from tribute.ids import listed
from tribute.tasks.frozen import CPU, FROZEN_SEED, PartlyFrozen, frozen_state, under_seed
from tribute.tasks.module import built, copied, without_values
from tribute.tasks.task import Model, Task
from tribute.tasks.transforms import in_transform

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "mixed_bfloat16": torch.float32}


class BoundModule(PartlyFrozen):
    """The module of a task as a function of its trainable parameters.

    Parameters without `requires_grad`, and buffers, are `frozen`: by default as `Task.build` gives them under a
    fixed seed. With bfloat16, forward and backward passes are rounded; parameters, losses and measurements stay
    float32, and so do buffers, where rounding would shift the phases of positions. With mixed_bfloat16, parameters
    are not rounded, but `torch.autocast` rounds inside the forward pass, as in most trainings on a GPU. Theta has
    the widest dtype of the parameters, at least float32; the model sees each in its own.
    """

    def __init__(self, task: Task, precision: str = "float32") -> None:
        self.task, self._precision = task, PRECISIONS[precision]
        self._mixed = precision == "mixed_bfloat16"
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

    def pieces(self, theta: Tensor) -> dict[str, Tensor]:
        """Named parameters, [..., *shape] each, as views of theta, [..., P]."""
        parts = theta.split([math.prod(shape) for shape in self.shapes.values()], -1)
        return {name: self.piece(name, part) for name, part in zip(self.shapes, parts, strict=True)}

    def piece(self, name: str, part: Tensor) -> Tensor:
        """A parameter from its part of theta, [..., n] to [..., *shape]."""
        return part.view(*part.shape[:-1], *self.shapes[name])

    @property
    def autocasts(self) -> bool:
        """See `Losses`."""
        return self._mixed

    @property
    def rounded_to(self) -> torch.dtype:
        """The precision of a training's forward pass."""
        if self._mixed:
            return torch.bfloat16
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

    def _narrowed(self, pieces: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Parameters in the dtypes of the model, if it has several."""
        return {name: value.to(self._narrow.get(name, value.dtype)) for name, value in pieces.items()}

    def _bound(self, module: nn.Module, pieces: Mapping[str, Tensor], precision: torch.dtype) -> Model:
        named = self._values(pieces, precision)

        def model(*inputs: Any, **options: Any) -> Any:
            return functional_call(module, named, inputs, options)

        return self.rounding(model) if module is self._module else rounding(model, precision)

    def values(self, pieces: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the module that trains computes with: trained, frozen and buffers, each as it sees it."""
        return self._values(pieces, self._precision)

    def rounding(self, model: Model) -> Model:
        """A model with inputs in the precision of training and outputs in float32."""
        return autocast(model) if self._mixed else rounding(model, self._precision)

    def _values(self, pieces: Mapping[str, Tensor], precision: torch.dtype) -> dict[str, Tensor]:
        named = self.held_on(next(iter(pieces.values())).device) | self._narrowed(pieces)
        if precision is torch.float32:
            return named
        buffers = {name for name, _ in self._module.named_buffers()}
        return {n: value if n in buffers else rounded(value, precision) for n, value in named.items()}


def rounding(model: Model, precision: torch.dtype) -> Model:
    """A model with inputs in some precision and outputs in float32."""
    if precision is torch.float32:
        return model

    def called(*inputs: Any, **options: Any) -> Any:
        given, named = tree_map(lambda value: rounded(value, precision), (inputs, options))
        return tree_map(lambda value: rounded(value, torch.float32), model(*given, **named))

    return called


def autocast(model: Model) -> Model:
    """A model whose forward pass runs under `torch.autocast` to bfloat16, with outputs in float32.

    No rounded copy of a parameter is kept: uses of it in several places would add their gradients up in bfloat16.
    Derivatives by `torch.func` are taken without autocast, in float32: they round unlike a backward pass, and fail
    for some layers.
    """

    def called(*inputs: Any, **options: Any) -> Any:
        if in_transform():
            return model(*inputs, **options)
        device = next(leaf.device.type for leaf in tree_leaves((inputs, options)) if isinstance(leaf, Tensor))
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            outputs = model(*inputs, **options)
        return tree_map(lambda value: rounded(value, torch.float32), outputs)

    return called


def rounded(value: Any, precision: torch.dtype) -> Any:
    """A tensor of numbers in some precision; anything else as it is."""
    return value.to(precision) if isinstance(value, Tensor) and value.is_floating_point() else value
