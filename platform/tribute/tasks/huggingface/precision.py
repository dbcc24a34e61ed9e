"""Trained layers in float32 inside a model of bfloat16."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map


def widen_trained(model: nn.Module, dtype: torch.dtype) -> None:
    """Hold parameters that train in at least float32, and compute their layers in it.

    What the layers give out is rounded to the dtype of the model, as other layers expect it. So small changes of
    parameters, such as those of one step, are not rounded away.

    Args:
        dtype: of the model.
    """
    for name, layer in model.named_modules():
        own = [value for value in layer.parameters(recurse=False) if value.requires_grad]
        for value in own:
            value.data = value.data.to(torch.promote_types(value.dtype, torch.float32))
        if own and dtype is torch.bfloat16 and "lora_" not in name:  # PEFT itself casts what it gives an adapter
            for value in layer.parameters(recurse=False):
                value.data = value.data.to(torch.float32)
            layer.register_forward_pre_hook(_cast_inputs, with_kwargs=True)
            layer.register_forward_hook(_round_outputs)


def _cast_inputs(layer: nn.Module, inputs: Any, options: Any) -> Any:
    dtype = next(layer.parameters(recurse=False)).dtype  # not float32 if the whole pass is rounded
    return tree_map(lambda value: _to(value, dtype), (inputs, options))


def _round_outputs(_layer: nn.Module, _inputs: Any, outputs: Any) -> Any:
    return tree_map(lambda value: _to(value, torch.bfloat16), outputs)


def _to(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
