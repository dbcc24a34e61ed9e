"""Forward passes in lower precision: what goes into a model is rounded, and what comes out is single precision."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from tribute.tasks.task import Model

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def rounding(model: Model, precision: torch.dtype) -> Model:
    """A model with inputs in some precision and outputs in float32."""
    if precision is torch.float32:
        return model

    def called(*inputs: Any, **options: Any) -> Any:
        given, named = tree_map(lambda value: rounded(value, precision), (inputs, options))
        return tree_map(lambda value: rounded(value, torch.float32), model(*given, **named))

    return called


def rounded(value: Any, precision: torch.dtype) -> Any:
    """A tensor of numbers in some precision; anything else as it is."""
    return value.to(precision) if isinstance(value, Tensor) and value.is_floating_point() else value
