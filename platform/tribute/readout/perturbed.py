"""What every read-out takes and returns, and how it is cut to a memory budget.

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
MOST_ROWS = 256


class ReadOut(NamedTuple):
    """Influences [Q, S] and the model's own measurements [Q], nats."""

    influence_QS: Tensor
    measurement_Q: Tensor


@dataclass(frozen=True)
class PerturbedModel:
    """A trained model, [P], and how each source's absence moves it inside a scope, [S, p]."""

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
        """The same responses as vectors of all parameters."""
        if self.scope.whole:
            return self
        return PerturbedModel(self.scope.widened(), self.theta_P, self.scope.lift(self.response_Sp))


@dataclass(frozen=True)
class QueryRows:
    """What a read-out needs of queries: their ids [Q], row columns [N, ...] and the query of each row [N]."""

    query_ids: tuple[str, ...]
    columns: Mapping[str, NDArray]
    query_N: NDArray[np.int64]

    @classmethod
    def of(cls, queries: QueryTable) -> "QueryRows":
        """The rows of a query table, without its accounting."""
        return cls(queries.query_ids, queries.rows, queries.row_query)

    def batches(self, largest: int, device: torch.device) -> Iterator[tuple[Batch, Tensor]]:
        """Columns of at most `largest` rows, and the query of each of them."""
        for begin in range(0, len(self.query_N), largest):
            chosen = slice(begin, begin + largest)
            columns = {name: np.array(column[chosen]) for name, column in self.columns.items()}
            query_B = torch.from_numpy(np.array(self.query_N[chosen])).to(device)
            yield {name: torch.from_numpy(values).to(device) for name, values in columns.items()}, query_B


def row_bytes(task: FlatTask | ScopedTask, theta_p: Tensor, queries: QueryRows) -> int:
    """Activations of one more row, bytes: what two rows keep beyond what one does."""
    batch, _ = next(queries.batches(1, theta_p.device))
    twice = {name: torch.cat([value, value]) for name, value in batch.items()}
    two = kept_bytes(lambda at_p: task.measure(at_p, twice), theta_p)
    return max(two - kept_bytes(lambda at_p: task.measure(at_p, batch), theta_p), 1)


class Cut(NamedTuple):
    """How many rows and sources are evaluated at once."""

    rows: int
    sources: int


def cut(moved: PerturbedModel, queries: QueryRows, memory_gib: float, per_row: int = 0, copies: int = 1) -> Cut:
    """As many rows (at most `MOST_ROWS`), then sources, as fit the memory budget.

    A row and a source take `copies` times the row's activations, a source `copies` parameter vectors besides.

    Args:
        per_row: bytes that a row takes besides, whatever the number of sources.

    Raises:
        ConfigError: one row and one source take more than the budget; says how much.
    """
    own = copies * row_bytes(moved.task, moved.theta_p, queries)
    vector = 2 * copies * moved.theta_p.numel() * moved.theta_p.element_size()  # source and unperturbed model
    budget = int(memory_gib * GIB)
    rows = min((budget - vector) // (2 * own + per_row), MOST_ROWS)
    if rows < 1:
        needed = (2 * own + per_row + vector) / GIB
        raise ConfigError(
            f"readout.memory_gib is {memory_gib:g}, but a query row and a source take {needed:.2g} GiB. Raise it"
        )
    left = budget - rows * (own + per_row) - vector // 2
    return Cut(rows, max(1, min(left // (rows * own + vector // 2), len(moved.response_Sp))))
