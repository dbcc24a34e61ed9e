"""Trained layers and the head in float32 inside a model of bfloat16."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map


def widen_trained(model: nn.Module, dtype: torch.dtype) -> None:
    """Hold parameters that train, and the head, in at least float32, and compute their layers in it.

    What trained layers give out is rounded to the dtype of the model, as other layers expect it; what the head
    gives out is not. So small changes of parameters, such as those of one step, are not rounded away, nor those
    of logits: neighbouring numbers of bfloat16 near 10 are 0.06 nats apart.

    Args:
        dtype: of the model.
    """
    heads = _head_layers(model)
    for name, layer in model.named_modules():
        own = list(layer.parameters(recurse=False))
        trained, in_head = any(value.requires_grad for value in own), id(layer) in heads
        if not own or not (trained or in_head):
            continue
        for value in own:
            value.data = value.data.to(torch.promote_types(value.dtype, torch.float32))
        if dtype is torch.bfloat16 and "lora_" not in name:  # PEFT itself casts what it gives an adapter
            layer.register_forward_pre_hook(_cast_inputs, with_kwargs=True)
            if not in_head:
                layer.register_forward_hook(_round_outputs)
    if dtype is torch.bfloat16:
        _round_tied(model, heads)


def _head_layers(model: nn.Module) -> set[int]:
    """Ids of the layers behind the trunk of a model: of the vocabulary, or of the classes."""
    whole: Any = model
    whole = whole.get_base_model() if hasattr(whole, "get_base_model") else whole
    trunk = {id(layer) for layer in whole.base_model.modules()}
    return {id(layer) for layer in whole.modules() if id(layer) not in trunk}


def _round_tied(model: nn.Module, heads: set[int]) -> None:
    """Let a frozen embedding that shares the head's weight, now in float32, give out what the trunk expects."""
    shared = {id(value) for layer in model.modules() if id(layer) in heads for value in layer.parameters()}
    for layer in model.modules():
        own = list(layer.parameters(recurse=False))
        frozen = not any(value.requires_grad for value in own)
        if id(layer) not in heads and frozen and any(id(value) in shared for value in own):
            layer.register_forward_hook(_round_outputs)


def _cast_inputs(layer: nn.Module, inputs: Any, options: Any) -> Any:
    dtype = next(layer.parameters(recurse=False)).dtype  # not float32 if the whole pass is rounded
    return tree_map(lambda value: _to(value, dtype), (inputs, options))


def _round_outputs(_layer: nn.Module, _inputs: Any, outputs: Any) -> Any:
    return tree_map(lambda value: _to(value, torch.bfloat16), outputs)


def _to(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
