"""A module that plays back what some of its layers returned in a pass before."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn


class Reached(Exception):
    """Ends a pass at the layer whose output was asked for."""

    def __init__(self, output: Tensor) -> None:
        super().__init__("a pass ended where it was meant to end")
        self.output = output


class Tape:
    """What layers returned, by name, in the order of their calls."""

    def __init__(self) -> None:
        self._outputs: dict[str, list[Any]] = defaultdict(list)
        self._next: dict[str, int] = defaultdict(int)

    def record(self, module: nn.Module, layers: Sequence[str]) -> None:
        """Let layers add what they return."""
        for name in layers:
            module.get_submodule(name).register_forward_hook(self._adding(name))

    def play(self, module: nn.Module, layers: Sequence[str]) -> None:
        """Let layers return what they returned before, without computing it."""
        for name in layers:
            module.get_submodule(name).forward = self._playing(name)

    def clear(self) -> None:
        """Forget all outputs."""
        self._outputs.clear()

    def rewind(self) -> None:
        """Play from the beginning."""
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
