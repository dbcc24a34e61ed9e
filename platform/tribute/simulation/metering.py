"""Bytes of tensors that are alive, operation by operation."""

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryMeter(TorchDispatchMode):
    """Counts the memory of the tensors that are made while it is entered, and of those that it is told of.

    ``live`` holds the bytes after each operation. Tensors that were made before count only if they are given; what
    an operation takes for itself while it runs is not seen. Not for forward mode, in which numbers of Python
    arrive as tensors of float64, and widen the others.

    Args:
        held: tensors that exist already, and may be freed on the way.
    """

    def __init__(self, held: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live, self._now, self._known = list[int](), 0, set[int]()
        for tensor in held:
            self._watch(tensor, counted=True)

    def __torch_dispatch__(self, function: Any, types: Any, inputs: Any = (), options: Any = None) -> Any:
        """Run an operation and count what it made."""
        del types
        options = options or {}
        for leaf in tree_leaves((inputs, options)):
            self._watch(leaf, counted=False)
        found = function(*inputs, **options)
        for leaf in tree_leaves(found):
            self._watch(leaf, counted=True)
        self.live.append(self._now)
        return found

    def _watch(self, leaf: Any, *, counted: bool) -> None:
        if not isinstance(leaf, Tensor) or leaf.device.type == "meta":
            return
        storage = leaf.untyped_storage()
        key, size = storage._cdata, storage.nbytes() if counted else 0
        if key in self._known:
            return
        self._known.add(key)
        self._now += size
        weakref.finalize(storage, self._forget, key, size).atexit = False

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size
