"""How much memory of tensors some code holds at most."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """Bytes of all storages that are made inside it and held at once; `peak` is their largest sum."""

    def __init__(self) -> None:
        super().__init__()
        self.peak, self._held = 0, dict[int, tuple[Any, int]]()

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        _: Sequence[type],
        inputs: tuple[Any, ...] = (),
        options: dict[str, Any] | None = None,
    ) -> Any:
        found = function(*inputs, **(options or {}))
        given = {id(leaf.untyped_storage()) for leaf in tree_leaves((inputs, options)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor) and leaf.device.type == "cpu":
                self._hold(leaf.untyped_storage(), given)
        return found

    def _hold(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        key = id(storage)
        if key in given or key in self._held:
            return
        self._held[key] = weakref.ref(storage, lambda _: self._held.pop(key)), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self._held.values()))
