"""What training leaves as it is: a model's frozen parameters and buffers."""

import copy
import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

CPU = torch.device("cpu")
Frozen = Mapping[str, Tensor]
"""Frozen parameters and buffers by name, on the CPU."""

FROZEN_SEED = 0
"""Seed under which frozen parameters and buffers are built: they are the same in every replicate and process."""


def frozen_state(module: nn.Module) -> dict[str, Tensor]:
    """Parameters without `requires_grad`, and buffers, persistent or not."""
    parameters = {name: value for name, value in module.named_parameters() if not value.requires_grad}
    return {name: value.detach() for name, value in [*parameters.items(), *module.named_buffers()]}


def plain_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Tensors that are attributes of a layer, but neither parameters nor buffers: fixed by `Task.build` alone."""
    return {
        f"{prefix}.{name}" if prefix else name: value
        for prefix, layer in module.named_modules()
        for name, value in vars(layer).items()
        if isinstance(value, Tensor)
    }


def frozen_sha256(frozen: Frozen) -> str:
    """SHA-256 of names, types, shapes and values; empty if there are none."""
    digest = hashlib.sha256()
    for name, value in sorted(frozen.items()):
        plain = value.detach().cpu().contiguous()
        digest.update(f"{name}\0{plain.dtype}\0{tuple(plain.shape)}\0".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest() if frozen else ""


@contextmanager
def under_seed(seed: int, other_seed: int | None = None) -> Iterator[None]:
    """Seed PyTorch, NumPy and `random` for the length of a block, and restore them.

    Args:
        other_seed: for NumPy and `random`; None: the same.
    """
    other = seed if other_seed is None else other_seed
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(other)
        np.random.seed(other % 2**32)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


class PartlyFrozen:
    """Frozen parameters and buffers of a module, held on each device where they are needed."""

    _module: nn.Module
    _held: dict[torch.device, dict[str, Tensor]]

    @property
    def frozen(self) -> Frozen:
        """Frozen parameters and buffers, on the CPU."""
        return self._held[CPU]

    @cached_property
    def frozen_sha256(self) -> str:
        """SHA-256 of all that is not trained; empty if everything is."""
        return frozen_sha256({**self.frozen, **plain_tensors(self._module)})

    def with_frozen(self, frozen: Frozen) -> Self:
        """The same task with other frozen parameters and buffers."""
        task = copy.copy(self)
        task._held = {CPU: {name: frozen[name] for name in self.frozen}}
        for derived in ("frozen_sha256", "_together"):
            vars(task).pop(derived, None)
        return task

    def held_on(self, device: torch.device) -> dict[str, Tensor]:
        """Frozen parameters and buffers, copied to a device once."""
        if device not in self._held:
            with torch._C._DisableFuncTorch():  # or copies made inside a grad or jvp would stay wrapped in it
                self._held[device] = {name: value.to(device) for name, value in self._held[CPU].items()}
        return self._held[device]
