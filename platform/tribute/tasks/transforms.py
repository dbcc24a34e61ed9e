"""A function of many parameter vectors, and its derivative in forward mode, whatever layers it has."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from tribute.tasks.modes import allow_recomputation, run_in_forward_mode
from tribute.tasks.task import Parameters

Dimensions = int | tuple[int | None, ...]


def batched(
    function: Callable[..., Any], in_dims: Dimensions = 0, chunk_size: int | None = None
) -> Callable[..., Any]:
    """`torch.func.vmap` with the same random numbers in every row; else one row after the other.

    Layers without a batching rule, `torch.autocast` and branches on values of tensors are evaluated row by row,
    with the same result.
    """
    together = vmap(function, in_dims=in_dims, randomness="same", chunk_size=chunk_size)

    def mapped(*arguments: Any) -> Any:
        try:
            with _quiet():
                return together(*arguments)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # also NotImplementedError; an error of the function itself is raised again below
            return one_by_one(function, in_dims, *arguments)

    return mapped


def one_by_one(function: Callable[..., Any], in_dims: Dimensions, *arguments: Any) -> Any:
    """What `vmap` gives, by a loop over the rows."""
    dims = in_dims if isinstance(in_dims, tuple) else (in_dims,) * len(arguments)
    mapped = [argument for argument, dim in zip(arguments, dims, strict=True) if dim is not None]
    rows = len(tree_flatten(mapped)[0][0])
    found = []
    for row in range(rows):
        picked = [
            argument if dim is None else tree_map(lambda value, row=row: value[row], argument)
            for argument, dim in zip(arguments, dims, strict=True)
        ]
        found.append(tree_flatten(function(*picked)))
    leaves = [torch.stack(column) for column in zip(*(values for values, _ in found), strict=True)]
    return tree_unflatten(leaves, found[0][1])


def in_transform() -> bool:
    """Whether a transformation of `torch.func` is in progress, inside which no backward pass can be taken."""
    return torch._C._functorch.peek_interpreter_stack() is not None


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw the same random numbers on a device for the length of a block; restores torch's generator."""
    generator = torch.default_generator
    if device.type == "cuda":
        generator = torch.cuda.default_generators[device.index or torch.cuda.current_device()]
    before = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(before)


def gradient_at(function: Callable[[Parameters], Tensor], theta: Parameters) -> Parameters:
    """Gradient of a number by named parameters, of the shapes of `theta`; 0 for those that it does not depend on.

    By plain autograd, in which parts of the forward pass may be run again; inside a transform of `torch.func` by
    `torch.func.grad`.
    """
    if in_transform():
        found: Parameters = grad(function)(dict(theta))
        return found
    leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
    with torch.enable_grad(), allow_recomputation():
        return gradients_of(function(leaves), leaves)


def gradients_of(value: Tensor, leaves: Parameters) -> dict[str, Tensor]:
    """Gradient of a number by the leaves of its graph; 0 for those that it does not depend on."""
    if not value.requires_grad:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad(value, [*leaves.values()], allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def forward_mode(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value and directional derivative, as `torch.func.jvp` gives them.

    Fused kernels without forward mode are replaced: attention by matrix products, recurrent layers by their steps.
    A task that chooses its own kernels asks `in_forward_mode`, and saves the first, failing attempt.
    """
    with run_in_forward_mode():
        try:
            value, change = jvp(function, tuple(primals), tuple(tangents))[:2]
        except NotImplementedError as error:  # a fused kernel, or a method that the user left out
            if "forward AD" not in str(error):
                raise
            with _plain_kernels():
                value, change = jvp(function, tuple(primals), tuple(tangents))[:2]
    return value, change


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's warnings that a layer's rule is slow, or that a kernel is for other processors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")
        warnings.filterwarnings("ignore", "TF32 acceleration")
        yield


@contextmanager
def _plain_kernels() -> Iterator[None]:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            _quiet(),
            sdpa_kernel(SDPBackend.MATH),
            torch.backends.mkldnn.flags(enabled=False),
            torch.backends.cudnn.flags(enabled=False),
        ):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def kept_bytes(evaluate: Callable[[Tensor], Tensor], theta_P: Tensor) -> int:
    """Bytes that a function of the parameters keeps for its backward pass: the size of its activations."""
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        kept[value.data_ptr()] = value.numel() * value.element_size()
        return value

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        evaluate(theta_P.clone().requires_grad_()).sum()
    return sum(kept.values())
