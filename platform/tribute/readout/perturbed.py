"""Inputs and outputs of every read-out.

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
from tribute.tasks import Batch, FlatTask, Scope, ScopedTask, kept_bytes


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
        return self.scope.task_at(self.scope.task.pieces(self.theta_P))

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

    @property
    def shape(self) -> tuple[object, ...]:
        """What the cost of a row depends on: shape and dtype of each column's rows."""
        return tuple((name, column.shape[1:], column.dtype.str) for name, column in sorted(self.columns.items()))

    def batches(self, largest: int, device: torch.device) -> Iterator[tuple[Batch, Tensor]]:
        """Yield columns of at most `largest` rows, and the query of each row."""
        for begin in range(0, len(self.query_N), largest):
            chosen = slice(begin, begin + largest)
            columns = {name: np.array(column[chosen]) for name, column in self.columns.items()}
            query_B = torch.from_numpy(np.array(self.query_N[chosen])).to(device)
            yield {name: torch.from_numpy(values).to(device) for name, values in columns.items()}, query_B


def tokens_of(queries: QueryRows) -> NDArray[np.int64]:
    """Tokens of each row without padding, [N], to batch queries by; a row of another column counts 1."""
    if "tokens" in queries.columns:
        return np.asarray((queries.columns["tokens"] >= 0).sum(1), dtype=np.int64)
    return np.ones(len(queries.query_N), dtype=np.int64)


def row_bytes(task: FlatTask | ScopedTask, theta_p: Tensor, queries: QueryRows) -> int:
    """Bytes of activations of one more row: two rows minus one."""
    batch, _ = next(queries.batches(1, theta_p.device))
    twice = {name: torch.cat([value, value]) for name, value in batch.items()}
    two = kept_bytes(lambda at_p: task.measure(at_p, twice), theta_p)
    return max(two - kept_bytes(lambda at_p: task.measure(at_p, batch), theta_p), 1)
