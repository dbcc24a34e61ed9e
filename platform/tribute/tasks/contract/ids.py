"""The error that a row raises, in words: ids outside the vocabulary, labels outside the classes, columns."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from tribute.tasks.contract.examples import TaskExamples
from tribute.tasks.contract.function import Function, Pieces

MOST = 300
"""Characters shown of an error of the user's code."""


def explained(function: Function, pieces: Pieces, rows: TaskExamples, error: Exception) -> str:
    """What was wrong, with which row, and the remedy."""
    if isinstance(error, KeyError):
        row = "queries" if rows.kind == "query" else "examples"
        return (
            f"{function.name} needs column {error}, but the {row} have {', '.join(sorted(rows.columns))}. Name "
            "the column as the task does"
        )
    position, error = _failing(function, pieces, rows, error)
    where = "" if position is None else f" for {rows.name(position)}"
    chosen = list(range(len(rows))) if position is None else [position]
    outside = _outside(function, pieces, rows, chosen)
    if outside is not None:
        return f"{function.name} fails{where}: {outside}"
    problem = (str(error) or type(error).__name__).strip().splitlines()[0][:MOST].rstrip(".")
    if isinstance(error, IndexError) or "out of bounds" in problem or "class values" in problem:
        return (
            f"{function.name} fails{where}: {problem}{_labels(rows, chosen)}. Number the classes from "
            "0, and give the "
            "model an output for each"
        )
    if isinstance(error, CheckpointError):
        return (
            f"{function.name} fails{where}: a layer is computed again in the backward pass, when its parameters "
            "are no longer there. Turn activation checkpointing off in the model: the numbers are the same without"
        )
    return (
        f"{function.name} fails{where}: {type(error).__name__}: {problem}. Examples have "
        f"{rows.shapes}. Correct the "
        "task, its options or the columns"
    )


def _failing(
    function: Function, pieces: Pieces, rows: TaskExamples, error: Exception
) -> tuple[int | None, Exception]:
    """The only rows to blame are those that fail in a batch of their own, while others do not."""
    failed = {}
    for position in range(len(rows)):
        try:
            with torch.no_grad():
                function.values(pieces, rows.take([position]))
        except Exception as found:
            failed[position] = found
    if not failed or len(failed) == len(rows):
        return None, error
    return next(iter(failed.items()))


def _outside(function: Function, pieces: Pieces, rows: TaskExamples, chosen: list[int]) -> str | None:
    """The embedding that is asked for an id that it has not."""
    found: list[str] = []
    with _watched(function.task.module, found), _watched(function.task.measured, found):
        try:
            with torch.no_grad():
                function.values(pieces, rows.take(chosen))
        except Exception:  # the error that is being explained; what was watched before it counts
            return found[-1] if found else None
    return None


@contextmanager
def _watched(module: nn.Module, found: list[str]) -> Iterator[None]:
    def watch(name: str, layer: nn.Embedding | nn.EmbeddingBag, ids: Tensor) -> None:
        low, high, size = int(ids.min()), int(ids.max()), layer.num_embeddings
        if ids.numel() and not 0 <= low <= high < size:
            wrong = low if low < 0 else high
            found.append(
                f"id {wrong} is outside the vocabulary of {type(layer).__name__} {name!r}, which holds 0 to "
                f"{size - 1}. Give it more rows, or map or drop the id"
            )

    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs, name=name: watch(name, layer, inputs[0]))
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _labels(rows: TaskExamples, chosen: list[int]) -> str:
    """Columns of one whole number per row, with their values."""
    shown = [
        f"{name} {int(values[chosen].min())}" + ("" if len(chosen) == 1 else f" to {int(values[chosen].max())}")
        for name, values in sorted(rows.columns.items())
        if values.ndim == 1 and values.dtype.kind in "biu"
    ]
    return f" ({', '.join(shown)})" if shown else ""
