"""Inputs and outputs of every read-out, and the cut to a memory budget.

Legend: P parameters, p of the scope, S sources, N query rows, Q queries (a long text query has several rows).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.corpus import QueryTable
from tribute.errors import ConfigError
from tribute.tasks import Batch, FlatTask, Scope, ScopedTask, kept_bytes

GIB = 2**30
MAX_ROWS = 256


class ReadOut(NamedTuple):
    """Influences [Q, S] and measurements of the unperturbed model [Q], nats."""

    influence_QS: Tensor
    measurement_Q: Tensor


@dataclass(frozen=True)
class PerturbedModel:
    """A trained model, [P], and the response of its parameters in a scope to each source, [S, p]."""

    scope: Scope
    theta_P: Tensor
    response_Sp: Tensor

    @property
    def task(self) -> FlatTask | ScopedTask:
        """The model as a function of the scope's parameters."""
        return self.scope.task_at(self.theta_P)

    @property
    def theta_p(self) -> Tensor:
        """The scope's parameters."""
        return self.scope.of(self.theta_P)

    def lifted(self) -> "PerturbedModel":
        """The same responses as vectors of all parameters, [S, P]."""
        if self.scope.whole:
            return self
        return PerturbedModel(self.scope.widened(), self.theta_P, self.scope.lift(self.response_Sp))


@dataclass(frozen=True)
class QueryRows:
    """Queries for a read-out: ids [Q], columns of rows [N, ...], and the query of each row [N]."""

    query_ids: tuple[str, ...]
    columns: Mapping[str, NDArray]
    query_N: NDArray[np.int64]

    @classmethod
    def of(cls, queries: QueryTable) -> "QueryRows":
        """The rows of a query table, without times, customers and weights."""
        return cls(queries.query_ids, queries.rows, queries.row_query)

    def batches(self, largest: int, device: torch.device) -> Iterator[tuple[Batch, Tensor]]:
        """Yield columns of at most `largest` rows, and the query of each row."""
        for begin in range(0, len(self.query_N), largest):
            chosen = slice(begin, begin + largest)
            columns = {name: np.array(column[chosen]) for name, column in self.columns.items()}
            query_B = torch.from_numpy(np.array(self.query_N[chosen])).to(device)
            yield {name: torch.from_numpy(values).to(device) for name, values in columns.items()}, query_B


def row_bytes(task: FlatTask | ScopedTask, theta_p: Tensor, queries: QueryRows) -> int:
    """Bytes of activations of one more row: two rows minus one."""
    batch, _ = next(queries.batches(1, theta_p.device))
    twice = {name: torch.cat([value, value]) for name, value in batch.items()}
    two = kept_bytes(lambda at_p: task.measure(at_p, twice), theta_p)
    return max(two - kept_bytes(lambda at_p: task.measure(at_p, batch), theta_p), 1)


class Cut(NamedTuple):
    """Numbers of rows and sources that are evaluated at once."""

    rows: int
    sources: int


def cut(
    perturbed: PerturbedModel, queries: QueryRows, memory_gib: float, per_row: int = 0, copies: int = 1
) -> Cut:
    """As many rows (at most `MAX_ROWS`), then sources, as fit the memory budget.

    Each pair of row and source takes `copies` times the activations of a row. Each source also takes `copies`
    parameter vectors.

    Args:
        per_row: further bytes for each row, independent of the number of sources.

    Raises:
        ConfigError: one row and one source exceed the budget; says by how much.
    """
    activations = copies * row_bytes(perturbed.task, perturbed.theta_p, queries)
    vector = (
        2 * copies * perturbed.theta_p.numel() * perturbed.theta_p.element_size()
    )  # source and unperturbed model
    budget = int(memory_gib * GIB)
    rows = min((budget - vector) // (2 * activations + per_row), MAX_ROWS)
    if rows < 1:
        needed = (2 * activations + per_row + vector) / GIB
        raise ConfigError(
            f"readout.memory_gib is {memory_gib:g}, but one query row and one source take {needed:.2g} GiB. Raise "
            "it"
        )
    left = budget - rows * (activations + per_row) - vector // 2
    return Cut(rows, max(1, min(left // (rows * activations + vector // 2), len(perturbed.response_Sp))))
