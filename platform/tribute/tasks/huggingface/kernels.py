"""Kernels of attention and of experts by mode: fused ones, but where derivatives are taken forward.

PyTorch's fused kernels have no forward mode. Both variants compute the same function.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.moe import (
    ALL_EXPERTS_FUNCTIONS,
    batched_mm_experts_forward,
    grouped_mm_experts_forward,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from tribute.tasks.modes import in_forward_mode

BY_MODE = "tribute_by_mode"
"""Name of these kernels in the registries of transformers."""


def attention_by_mode(*inputs: Any, **options: Any) -> Any:
    """Scaled dot-product attention: by matrix products in forward mode, else PyTorch's choice."""
    if not in_forward_mode():
        return sdpa_attention_forward(*inputs, **options)
    with sdpa_kernel(SDPBackend.MATH):
        return sdpa_attention_forward(*inputs, **options)


def experts_by_mode(experts: nn.Module, hidden: Tensor, *inputs: Any, **options: Any) -> Any:
    """Experts: one product of a batch in forward mode and float64, else grouped products."""
    batched = in_forward_mode() or hidden.dtype is torch.float64
    chosen = batched_mm_experts_forward if batched else grouped_mm_experts_forward
    return chosen(experts, hidden, *inputs, **options)


def choose_by_mode(model: nn.Module) -> None:
    """Let a model's attention and experts be computed by the kernels of this module, where it has fused ones.

    The warning about padding without a mask is left out: it looks at values, which per-example gradients do not
    allow.
    """
    layers: list[Any] = list(model.modules())
    for layer in layers:
        if hasattr(layer, "warn_if_padding_and_no_attention_mask"):
            layer.warn_if_padding_and_no_attention_mask = _no_warning
    configs = {id(module.config): module.config for module in layers if hasattr(module, "config")}
    for config in configs.values():
        if getattr(config, "_attn_implementation", None) == "sdpa":
            config._attn_implementation = BY_MODE
        if getattr(config, "_experts_implementation", None) == "grouped_mm":
            config._experts_implementation = BY_MODE


def _no_warning(*_: object) -> None:
    """Stand in for a warning."""


AttentionInterface.register(BY_MODE, attention_by_mode)
AttentionMaskInterface.register(BY_MODE, sdpa_mask)
ALL_EXPERTS_FUNCTIONS.register(BY_MODE, experts_by_mode)
