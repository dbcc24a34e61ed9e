"""A model that is called for many trajectories in one pass: rows k B ... (k + 1) B go through the k-th parameters.

A module that holds parameters of the scope is evaluated for all trajectories at once, by `vmap`. Everything else
sees one large batch: attention runs in its fused kernel, and frozen layers share a matrix product. The part of the
model before the scope, the trunk, sees every example once.

Legend: K trajectories, B examples of a batch.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map

from tribute.tasks.module import copied
from tribute.tasks.task import Parameters
from tribute.tasks.transforms import batched

Call = Callable[..., Any]
ABSENT = torch.empty(0, device="meta")


class FoldedModule:
    """A module at K sets of some of its parameters and one of all the others.

    Args:
        module: it is copied; `place` gives the copy its parameters.
        names: the parameters that each trajectory has of its own.
        fork: the name of the module from which on every trajectory has rows of its own.
    """

    def __init__(self, module: nn.Module, names: Sequence[str], fork: str) -> None:
        self._module, self._inside = copied(module), False
        self._theta, self._trajectories, self._rows = dict[str, Tensor](), 1, 1
        self._places = _places(self._module)
        known = {id(value): name for name, value in self._module.named_parameters()}
        for owner in owners(self._module, names):
            held = owner.named_parameters(remove_duplicate=False)
            own = {name: known[id(value)] for name, value in held if known[id(value)] in names}
            owner.forward = self._of_owner(owner, own)
        for layer in self._module.modules():
            if type(layer) is nn.Dropout:
                layer.forward = self._of_dropout(layer)  # type: ignore[method-assign]
            if isinstance(layer, nn.Embedding) and layer.padding_idx is not None:
                layer.register_forward_hook(_without_slope_of(layer.padding_idx))
                layer.padding_idx = None  # vmap over weights and indices would hold back other gradients
        self._module.get_submodule(fork).register_forward_pre_hook(self._fan_out, with_kwargs=True)

    @property
    def module(self) -> nn.Module:
        """The copy that runs."""
        return self._module

    @property
    def inside(self) -> bool:
        """Whether a module of the scope runs, in which trajectories are a dimension of `vmap`."""
        return self._inside

    def place(self, theta: Parameters, rest: Parameters) -> None:
        """Set parameters and buffers: K of those in the scope, one of every other.

        Those in the scope are out of reach of all modules but their owners: whoever else looks at them fails.
        """
        self._theta, self._trajectories = dict(theta), len(next(iter(theta.values()), ABSENT)) or 1
        absent = {n: torch.empty(value.shape[1:], dtype=value.dtype, device="meta") for n, value in theta.items()}
        for name, value in {**rest, **absent}.items():
            for held, key in self._places[name]:
                held[key] = value

    def clear(self) -> None:
        """Let go of the parameters and buffers."""
        self._theta = {}
        for places in self._places.values():
            for held, key in places:
                held[key] = ABSENT

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The outputs of K B rows, of which the first B are repeated K times."""
        rows = next(len(leaf) for leaf in tree_leaves((inputs, options)) if isinstance(leaf, Tensor))
        self._rows = rows // self._trajectories

        def first(leaf: Any) -> Any:
            return leaf[: self._rows] if _leads(leaf, rows) else leaf

        given, named = tree_map(first, (inputs, options))
        return self._module(*given, **named)

    def _fan_out(self, _: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Give every trajectory rows of its own."""
        leaves = tree_leaves((inputs, options))
        if self._inside or any(_leads(leaf, self._rows * self._trajectories) for leaf in leaves):
            return None

        def repeated(leaf: Any) -> Any:
            if not _leads(leaf, self._rows):
                return leaf
            return leaf.expand(self._trajectories, *leaf.shape).flatten(0, 1)

        return tree_map(repeated, (inputs, options))

    def _of_owner(self, owner: nn.Module, names: Mapping[str, str]) -> Call:
        """The forward pass of a module that holds parameters of the scope."""
        plain = MethodType(type(owner).forward, owner)

        def folded(*inputs: Any, **options: Any) -> Any:
            theta = {name: self._theta[full] for name, full in names.items()}

            def split(leaf: Any) -> bool:
                return isinstance(leaf, Tensor) and leaf.dim() > 0 and _several(len(leaf), self._trajectories)

            def of_one(theta: Parameters, own: Sequence[Tensor]) -> Any:
                parts = iter(own)
                given, named = tree_map(lambda leaf: next(parts) if split(leaf) else leaf, (inputs, options))
                return functional_call(owner, dict(theta), given, named)

            own = [
                leaf.unflatten(0, (self._trajectories, -1))
                for leaf in tree_leaves((inputs, options))
                if split(leaf)
            ]
            owner.forward, self._inside = plain, True
            try:
                found = batched(of_one)(theta, own) if own else batched(lambda theta: of_one(theta, []))(theta)
            finally:
                owner.forward, self._inside = folded, False
            return tree_map(lambda leaf: self._as_rows(leaf, shared=not own), found)

        return folded

    def _as_rows(self, leaf: Tensor, *, shared: bool) -> Tensor:
        """Outputs of all trajectories as rows; what did not depend on rows is the same in each of a trajectory."""
        if shared:
            leaf = leaf.expand(-1, self._rows, *leaf.shape[2:])
        return leaf.flatten(0, 1)

    def _of_dropout(self, layer: nn.Dropout) -> Call:
        """Dropout that drops the same units in every trajectory, as in one alone."""

        def folded(values: Tensor) -> Tensor:
            if not layer.training or not layer.p:
                return values
            if self._inside or len(values) % self._trajectories or len(values) == self._rows:
                return functional.dropout(values, layer.p)
            each = values.unflatten(0, (self._trajectories, -1))
            return (each * functional.dropout(torch.ones_like(each[0]), layer.p)).flatten(0, 1)

        return folded


def owners(module: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The outermost modules that hold some parameters themselves, in the order of the model."""
    chosen = {id(value) for name, value in module.named_parameters() if name in names}

    def walk(layer: nn.Module) -> Iterator[nn.Module]:
        if any(id(value) in chosen for value in layer.parameters(recurse=False)):
            yield layer
            return
        for child in layer.children():
            yield from walk(child)

    return [*{id(layer): layer for layer in walk(module)}.values()]


def forks(module: nn.Module, names: Sequence[str]) -> list[str]:
    """Modules that hold all of the scope that comes first, the smallest first: where trajectories may part."""
    [first, *_] = owners(module, names)
    own = {id(layer): name for name, layer in module.named_modules()}[id(first)]
    parts = own.split(".") if own else []
    return [".".join(parts[:depth]) for depth in range(len(parts), -1, -1)]


def _places(module: nn.Module) -> dict[str, list[tuple[dict[str, Any], str]]]:
    """Where each parameter and buffer is held, by the first of its names."""
    places: dict[str, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    known = {id(value): name for name, value in [*module.named_parameters(), *module.named_buffers()]}
    for layer in module.modules():
        for held in (layer._parameters, layer._buffers):
            for key, value in held.items():
                if value is not None:
                    places[known[id(value)]].append((held, key))
    return places


def _without_slope_of(padding: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """Hook of an embedding whose vector of this index does not learn."""

    def held(_: nn.Module, inputs: tuple[Tensor, ...], found: Tensor) -> Tensor:
        return torch.where((inputs[0] == padding)[..., None], found.detach(), found)

    return held


def _leads(leaf: Any, rows: int) -> bool:
    return isinstance(leaf, Tensor) and leaf.dim() > 0 and len(leaf) == rows


def _several(rows: int, trajectories: int) -> bool:
    return rows > 1 and rows % trajectories == 0
