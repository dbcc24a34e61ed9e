"""A module that plays back what some of its layers returned in a pass before."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from tribute.tasks import Model

Outputs = dict[str, list[Any]]
"""What layers returned, by name, in the order of their calls."""


class Reached(Exception):
    """Ends a pass at the layer whose output was asked for."""

    def __init__(self, output: Tensor) -> None:
        super().__init__("a pass ended where it was meant to end")
        self.output = output


class LargestOutput:
    """A model that keeps the largest tensor of floats that it returns."""

    def __init__(self, model: Model) -> None:
        self._model, self.largest = model, torch.empty(0)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The outputs of the model."""
        outputs = self._model(*inputs, **options)
        for leaf in tree_leaves(outputs):
            if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.numel() > self.largest.numel():
                self.largest = leaf
        return outputs


class Tape:
    """Records what layers return, and plays it back."""

    def __init__(self) -> None:
        self._outputs: Outputs = defaultdict(list)
        self._next: dict[str, int] = defaultdict(int)

    def record(self, module: nn.Module, layers: Sequence[str]) -> None:
        """Let layers add what they return."""
        for name in layers:
            module.get_submodule(name).register_forward_hook(self._adding(name))

    def play(self, module: nn.Module, layers: Sequence[str]) -> None:
        """Let layers return what they returned before, without computing it."""
        for name in layers:
            module.get_submodule(name).forward = self._playing(name)

    def begin(self) -> Outputs:
        """A new recording, filled by the pass that follows."""
        self._outputs = defaultdict(list)
        return self._outputs

    def rewind(self, outputs: Outputs) -> None:
        """Play a recording from its beginning."""
        self._outputs = outputs
        self._next.clear()

    def _adding(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            self._outputs[name].append(output)

        return hook

    def _playing(self, name: str) -> Callable[..., Any]:
        def forward(*_: Any, **__: Any) -> Any:
            self._next[name] += 1
            return self._outputs[name][self._next[name] - 1]

        return forward
