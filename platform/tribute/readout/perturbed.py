"""Inputs and outputs of every read-out.

Legend: P parameters, p of the scope, S sources, N query rows, Q queries (a long text query has several rows).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.corpus import Column, QueryTable, blocks
from tribute.tasks import Batch, FlatTask, Parameters, Scope, ScopedTask, kept_bytes

ROWS = 4096
"""Rows whose tokens are counted at once."""


class ReadOut(NamedTuple):
    """Influences [Q, S] and measurements of the unperturbed model [Q], nats."""

    influence_QS: Tensor
    measurement_Q: Tensor


class StoredResponses:
    """Responses to sources, [S, p], that are read or made whenever some of them are used.

    Args:
        count: S.
        read: the response to a source, [p].
    """

    def __init__(self, count: int, read: Callable[[int], Tensor]) -> None:
        self._count, self._read = count, read

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, chosen: slice) -> Tensor:
        """Responses to some sources, [C, p]."""
        sources = range(*chosen.indices(self._count))
        found_Cp = torch.empty(0)
        for row, source in enumerate(sources):
            response_p = self._read(source)
            if row == 0:
                found_Cp = response_p.new_empty(len(sources), len(response_p))
            found_Cp[row] = response_p
        return found_Cp

    def held_within(self, memory_gib: float) -> "Tensor | StoredResponses":
        """All of them in memory, if they fit."""
        one_1p = self[:1]
        return self[:] if self._count * one_1p.numel() * one_1p.element_size() <= memory_gib * 2**30 else self


class StoredResponse(Protocol):
    """A response in a file."""

    def verify(self) -> None:
        """Check that the file is the recorded one."""

    def read(self, device: torch.device) -> Parameters:
        """The response of each parameter in the scope."""


def stored_responses(
    scope: Scope, files: Sequence[StoredResponse | None], device: torch.device, memory_gib: float
) -> Tensor | StoredResponses:
    """Responses [S, p] in files, which are checked: in memory if they fit, else read whenever they are used.

    Args:
        files: None: a simulation that failed; its response is NaN.
    """
    for file in files:
        if file is not None:
            file.verify()

    def read(source: int) -> Tensor:
        if (file := files[source]) is None:
            return torch.full((scope.size,), torch.nan, device=device)
        return scope.flatten(file.read(device))

    return StoredResponses(len(files), read).held_within(memory_gib)


@dataclass(frozen=True)
class PerturbedModel:
    """A trained model, [P], and the response of its parameters in a scope to each source, [S, p]."""

    scope: Scope
    theta_P: Tensor
    response_Sp: Tensor | StoredResponses

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
        narrow_Sp, lift = self.response_Sp, self.scope.lift
        wide_SP = StoredResponses(len(narrow_Sp), lambda source: lift(narrow_Sp[source : source + 1])[0])
        return PerturbedModel(self.scope.widened(), self.theta_P, wide_SP)


@dataclass(frozen=True)
class QueryRows:
    """Queries for a read-out: ids [Q], columns of rows [N, ...], and the query of each row [N]."""

    query_ids: tuple[str, ...]
    columns: Mapping[str, Column]
    query_N: NDArray[np.int64]

    @classmethod
    def of(cls, queries: QueryTable) -> "QueryRows":
        """The rows of a query table, without times, customers and weights."""
        return cls(queries.query_ids, queries.rows, queries.row_query)

    @property
    def shape(self) -> tuple[object, ...]:
        """What the cost of a row depends on: shape and dtype of each column's rows."""
        return tuple((name, column.shape[1:], column.dtype.str) for name, column in sorted(self.columns.items()))

    def between(self, begin: int, end: int) -> "QueryRows":
        """The queries from one index to another, whose rows are in their order."""
        rows = slice(*np.searchsorted(self.query_N, (begin, end)))
        columns = {name: column[rows] for name, column in self.columns.items()}
        return QueryRows(self.query_ids[begin:end], columns, self.query_N[rows] - begin)

    def spread(self, largest: int) -> "QueryRows":
        """At most this many of the rows, at equal distances from the first to the last."""
        rows = len(self.query_N)
        chosen = np.linspace(0, rows - 1, min(rows, largest)).round().astype(int)
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return QueryRows(self.query_ids, columns, self.query_N[chosen])

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
        parts = [(block >= 0).sum(1, dtype=np.int64) for block in blocks(queries.columns["tokens"], ROWS)]
        return np.concatenate([np.zeros(0, np.int64), *parts])
    return np.ones(len(queries.query_N), dtype=np.int64)


def row_bytes(task: FlatTask | ScopedTask, theta_p: Tensor, queries: QueryRows) -> int:
    """Bytes of activations of one more row: two rows minus one."""
    batch, _ = next(queries.batches(1, theta_p.device))
    twice = {name: torch.cat([value, value]) for name, value in batch.items()}
    two = kept_bytes(lambda at_p: task.measure(at_p, twice), theta_p)
    return max(two - kept_bytes(lambda at_p: task.measure(at_p, batch), theta_p), 1)
