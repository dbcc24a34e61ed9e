"""Whether values repeat, change no state, and depend on their own row alone."""

from collections.abc import Iterator

import torch
from torch import Tensor

from tribute.tasks.contract.examples import TaskExamples
from tribute.tasks.contract.function import SEED, WORDS, Function, Pieces, owner, plural
from tribute.tasks.frozen import CPU

OTHER_SEED = 1
SAME_SHAPE = 1e-5
"""Relative difference that rounding explains between batches of one shape."""
OTHER_SHAPE = 1e-3
"""Relative difference that rounding explains between batches of different shapes."""
ROWS = 4


def repeated(function: Function, pieces: Pieces, examples: TaskExamples) -> Iterator[str]:
    """What differs between two calls, and the buffers that a call changes."""
    batch, held = examples.take(list(range(min(ROWS, len(examples))))), function.task.held_on(CPU)
    before = {name: value.clone() for name, value in held.items()}
    first = function.values(pieces, batch)
    changed = [name for name, value in held.items() if not _same(value, before[name])]
    for name in changed:
        held[name].copy_(before[name])
    measured = function.name == "measurement"
    if changed:
        more = f" and {len(changed) - 1} more buffers" if len(changed) > 1 else ""
        yield (
            f"{function.name} changes {owner(function.task.module, changed[0])}{more}, so its values "
            "depend on all "
            "earlier calls. Set the layer to evaluation mode in build (layer.eval()), with its "
            "statistics fixed, or "
            "use one without state, such as LayerNorm or GroupNorm"
        )
    elif _apart(first, function.values(pieces, batch, OTHER_SEED if measured else SEED, OTHER_SEED)) > SAME_SHAPE:
        yield (
            f"{function.name} gives other values in a second call"
            + ("" if measured else " under the same seed of torch")
            + ". Keep no state between calls, and draw random numbers in training only, by torch's global "
            "generator: dropout must follow the mode of its module (training=self.training)"
        )


def independent(function: Function, still: Function, pieces: Pieces, examples: TaskExamples) -> Iterator[str]:
    """Whether the rest of a batch changes the value of a row.

    Args:
        still: the same function in evaluation mode, where batches of another size draw no other dropout.
    """
    chosen = examples.distinct[: 2 * ROWS - 1]
    if len(chosen) < 3:
        return
    _, row, value = WORDS[function.name]
    half, subject = (len(chosen) - 1) // 2, f"the {value} of {examples.name(chosen[0])}"
    inside, other = (
        function.values(pieces, examples.take([chosen[0], *rest]))[:1]
        for rest in (chosen[1 : 1 + half], chosen[-half:])
    )
    if _apart(inside, other) > SAME_SHAPE:
        yield (
            f"other {plural(row)} in the batch change {subject}, from {float(inside):.4g} to {float(other):.4g}. "
            + _remedy(function)
        )
        return
    alone, among = (still.values(pieces, examples.take(chosen[:size]))[:1] for size in (1, len(chosen)))
    if _apart(alone, among) > OTHER_SHAPE:
        yield (
            f"{subject} is {float(alone):.4g} in a batch of 1 and {float(among):.4g} in one of {len(chosen)}. "
            f"Divide by what belongs to the {row} alone, not by the size or the positions of the batch"
        )


def _remedy(function: Function) -> str:
    for name, module in function.task.module.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._NormBase) and module.training:
            return (
                f"{type(module).__name__} {name!r} uses the statistics of the batch: set it to evaluation mode in "
                "build (layer.eval()), with fixed statistics, or use LayerNorm or GroupNorm"
            )
    return (
        "Each row must count by itself: take no statistics, normalisation or negatives from the batch. Negatives "
        "can be a column of the example"
    )


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one, other, rtol=0, atol=0, equal_nan=True))


def _apart(one: Tensor, other: Tensor) -> float:
    """Largest difference relative to the largest value."""
    with torch.no_grad():
        return float((one - other).abs().max() / one.abs().max().clamp(min=1e-6))
