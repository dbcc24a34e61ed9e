"""A function of a task: its values for some rows, and what is wrong with them.

Legend: B examples or Q queries (n here), P parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tribute.tasks.flat import FlatTask
from tribute.tasks.frozen import under_seed
from tribute.tasks.task import Batch

Pieces = Mapping[str, Tensor]
"""Parameters by name."""
SEED = 0
WORDS = {"training_loss": ("B", "example", "loss"), "measurement": ("Q", "query", "measurement")}


class Wrong(Exception):
    """A function of the task does not do what it should; the message names the thing and the remedy."""


@dataclass(frozen=True)
class Function:
    """`training_loss` or `measurement` of a task, as a function of named parameters and rows."""

    name: str
    task: FlatTask
    of: Callable[[Pieces, Batch], Tensor]

    @property
    def row(self) -> str:
        """What a row is."""
        return WORDS[self.name][1]

    def values(self, pieces: Pieces, batch: Batch, torch_seed: int = SEED, other_seed: int = SEED) -> Tensor:
        """Its values, [n], under fixed generators.

        Raises:
            Wrong: they are not one floating-point number for each row, or it ends the program.
        """
        rows = len(next(iter(batch.values())))
        with under_seed(torch_seed, other_seed):
            found = self.of(pieces, batch)
        letter, row, value = WORDS[self.name]
        if not isinstance(found, Tensor):
            raise Wrong(
                f"{self.name} returns a {type(found).__name__}, expected a tensor of shape [{letter}]. Return the "
                f"{value} of each {row}"
            )
        if found.shape != (rows,):
            raise Wrong(
                f"{self.name} returns shape {tuple(found.shape)} for {rows} {plural(row, rows)}, expected "
                f"({rows},), the {value} of each {row}. {_reshape(found, rows, value)}"
            )
        if found.dtype not in (torch.float32, torch.float64):
            remedy = "Return .float()"
            if not found.is_floating_point():
                remedy = "Return a differentiable number, such as a log-likelihood"
            kind = str(found.dtype).removeprefix("torch.")
            raise Wrong(f"{self.name} returns {kind}, expected float32 or float64. {remedy}")
        return found


def loss_function(task: FlatTask) -> Function:
    """The training loss in the mode of training."""
    return Function("training_loss", task, _going_on("training_loss", task.losses_at))


def measurement_function(task: FlatTask) -> Function:
    """The measurement in full precision and evaluation mode."""

    def measured(pieces: Pieces, queries: Batch) -> Tensor:
        return task.task.measurement(task.measured_model(pieces), queries)

    return Function("measurement", task, _going_on("measurement", measured))


def _going_on(name: str, of: Callable[[Pieces, Batch], Tensor]) -> Callable[[Pieces, Batch], Tensor]:
    def values(pieces: Pieces, rows: Batch) -> Tensor:
        try:
            return of(pieces, rows)
        except SystemExit as error:
            raise Wrong(f"{name} ends the program (SystemExit: {error}). Raise another error") from error

    return values


def owner(module: nn.Module, name: str) -> str:
    """The kind and the name of the layer that holds a parameter or buffer."""
    path, _, last = name.rpartition(".")
    kind = type(module.get_submodule(path)).__name__
    return f"{last!r} of {kind} {path!r}" if path else f"{last!r} of the {kind}"


def plural(row: str, count: int = 2) -> str:
    """The word for so many rows."""
    if count == 1:
        return row
    return "queries" if row == "query" else f"{row}s"


def _reshape(found: Tensor, rows: int, value: str) -> str:
    shape = tuple(found.shape)
    if shape == () and rows == 1:
        return "A squeeze() that drops the dimension of the batch must name its dimension: squeeze(-1)"
    if shape == ():
        return 'Do not average over the batch: use reduction="none"'
    if shape == (rows, 1):
        return f"Drop the last dimension: {value}[:, 0]"
    if shape == (1, rows):
        return f"Drop the first dimension: {value}[0]"
    if shape == (rows, rows):
        return "Outputs [B, 1] may have been broadcast against targets [B]: take outputs[:, 0]"
    if shape[0] == rows:
        return f"Reduce each row's own dimensions: {value}.flatten(1).mean(1)"
    if found.dim() == 1 and found.numel() % rows == 0:
        return f"If it has a {value} for each position, reduce those of a row: {value}.view(len(rows), -1).mean(1)"
    return 'Use reduction="none", and reduce only the dimensions of a row'
