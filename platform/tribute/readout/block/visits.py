"""In which order a model runs its modules."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


class Visit(NamedTuple):
    """One call of a module: when it began and ended, and the numbers that it returns if that is one tensor."""

    name: str
    begin: int
    end: int
    numbers: int


def visits(module: nn.Module, run: Callable[[], object]) -> list[Visit]:
    """All calls of modules inside `run`, in the order in which they end."""
    clock, open_calls, found = iter(range(2**62)), list[int](), list[Visit]()

    def begins(_: nn.Module, __: Any) -> None:
        open_calls.append(next(clock))

    def ends(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            numbers = output.numel() if isinstance(output, Tensor) and output.is_floating_point() else 0
            found.append(Visit(name, open_calls.pop(), next(clock), numbers))

        return hook

    handles = []
    for name, layer in module.named_modules():
        handles += [layer.register_forward_pre_hook(begins), layer.register_forward_hook(ends(name))]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found


def finished(calls: list[Visit], time: int) -> tuple[str, ...]:
    """The outermost modules that were called before a time, and neither at that time nor after it."""
    late = {call.name for call in calls if call.end >= time}
    early = [call for call in calls if call.end < time and call.name not in late]

    def inner(call: Visit) -> bool:
        return any(other.begin < call.begin and call.end < other.end for other in early)

    return tuple(dict.fromkeys(call.name for call in early if not inner(call)))


def largest_output(outputs: Any) -> int:
    """Numbers of the largest tensor among the outputs of a model."""
    leaves = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    return max((leaf.numel() for leaf in leaves), default=0)
