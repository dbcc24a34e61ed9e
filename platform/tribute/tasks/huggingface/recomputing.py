"""Gradient checkpointing: blocks whose activations are computed again in the backward pass.

That needs plain autograd. Inside `torch.func` (tangents, gradients by example) a block keeps its activations; the
numbers are the same.
"""

from types import MethodType
from typing import Any

from torch import nn
from torch.nn.utils.stateless import _reparametrize_module
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from tribute.errors import ConfigError
from tribute.tasks.modes import recomputation_allowed
from tribute.tasks.transforms import in_transform


def recompute_blocks(model: nn.Module) -> None:
    """Let the blocks of a model be computed again wherever plain autograd follows.

    Raises:
        ConfigError: transformers knows no blocks in this model.
    """
    blocks = [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]
    if not blocks:
        raise ConfigError(
            f"task.options.gradient_checkpointing: {type(model).__name__} has no blocks that transformers could "
            "compute again. Remove the option; to save memory, raise training.accumulation, or narrow "
            "simulation.scope"
        )
    for block in blocks:
        block.forward = MethodType(_forward, block)


def _forward(block: nn.Module, *inputs: Any, **options: Any) -> Any:
    plain = type(block).forward
    if not recomputation_allowed() or in_transform():
        return plain(block, *inputs, **options)
    values = dict([*block.named_parameters(), *block.named_buffers()])

    def again(*given: Any) -> Any:
        with _reparametrize_module(block, values):  # by then the model may hold other values, or none
            return plain(block, *given, **options)

    return checkpoint(again, *inputs, use_reentrant=False)
