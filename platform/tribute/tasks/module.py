"""The module of a task as tribute uses it: what cannot be used is refused, what is only faster is left out."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from tribute.errors import ConfigError, TributeError
from tribute.ids import short
from tribute.tasks.task import Task


def built(task: Task) -> nn.Module:
    """A fresh model of a task, `prepared`.

    Raises:
        ConfigError: as `prepared`; or the task's own code fails.
    """
    try:
        module = task.build()
    except TributeError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        problem = f"{type(error).__name__}: {short(str(error))}"
        raise ConfigError(f"Task.build fails: {problem}. Correct the task") from error
    return prepared(module)


def prepared(module: object) -> nn.Module:
    """The module that `Task.build` returned, without compilation and with dense gradients of embeddings.

    A compiled module is taken as the module that it compiles: the same function, under the same names. An
    embedding with `sparse=True` has the same gradient as a dense one.

    Raises:
        ConfigError: it is no module, has no trainable parameters, lazy ones, or complex ones; names them.
    """
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"Task.build returns a {type(module).__name__}, expected a torch.nn.Module. Return the model"
        )
    module = _uncompiled(module)
    for layer in module.modules():
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
            layer.sparse = False
    held = [*module.named_parameters(), *module.named_buffers()]
    lazy = [name for name, value in held if is_lazy(value)]
    if lazy:
        raise ConfigError(
            f"The model of Task.build has lazy parameters without a shape: {', '.join(lazy[:5])}. "
            "Give the layer its "
            "size, or call the model once in build on an example's shape"
        )
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    if not trained:
        raise ConfigError(
            "The model of Task.build has no parameter with requires_grad, so there is nothing to "
            "train. Leave some "
            "parameters trainable"
        )
    wrong = [name for name, value in trained.items() if value.is_complex()]
    if wrong:
        raise ConfigError(
            f"The model of Task.build has complex parameters: {', '.join(wrong[:5])}. Hold the real "
            "and the imaginary "
            "part as parameters of their own (torch.view_as_complex)"
        )
    return module


def copied(module: nn.Module, replaced: Mapping[int, Tensor] | None = None) -> nn.Module:
    """A copy of a module.

    Args:
        replaced: what stands in the copy in place of a tensor, by the tensor's `id`.

    Raises:
        ConfigError: it cannot be copied; says why.
    """
    try:
        return copy.deepcopy(module, dict(replaced or {}))
    except Exception as error:  # whatever its layers raise
        raise ConfigError(
            f"The model of Task.build cannot be copied: {type(error).__name__}: {short(str(error), 200)} Compute "
            "no attribute of a layer from parameters in its constructor; in place of torch.nn.utils.weight_norm, "
            "take that of torch.nn.utils.parametrizations"
        ) from None


def without_values(module: nn.Module) -> nn.Module:
    """A copy of a module whose parameters and buffers have a shape and a dtype, but take no memory.

    Tensors that are plain attributes of a layer keep their values.
    """
    absent: dict[int, Tensor] = {}
    for _, value in [*module.named_parameters(), *module.named_buffers()]:
        empty = torch.empty_like(value, device="meta")
        trained = isinstance(value, nn.Parameter)
        absent[id(value)] = nn.Parameter(empty, value.requires_grad) if trained else empty
    found = copied(module, absent)
    for layer, own in zip(module.modules(), found.modules(), strict=True):
        vars(own).update({name: value for name, value in vars(layer).items() if isinstance(value, Tensor)})
    return found


def is_transposed_linear(layer: nn.Module) -> bool:
    """Whether it is the linear layer of GPT-2 in transformers, with a weight [I, O]; by name: no import."""
    kind = type(layer)
    return (kind.__module__, kind.__name__) == ("transformers.pytorch_utils", "Conv1D")


def _uncompiled(module: nn.Module) -> nn.Module:
    while hasattr(module, "_orig_mod") and type(module).__name__ == "OptimizedModule":
        module = module._orig_mod  # type: ignore[assignment]
    module._compiled_call_impl = None
    for name, child in module.named_children():
        original = _uncompiled(child)
        if original is not child:
            setattr(module, name, original)
    return module
