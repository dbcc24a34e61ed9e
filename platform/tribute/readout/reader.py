"""What every read-out is made of: changes of some rows by some sources, summed over the rows of each query.

Legend: P parameters, p of the scope, S sources, C a chunk of them, N rows, B a batch of them, T positions of a
row, Q queries. `...` stands for nothing, or for T.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor

from tribute.readout.block import Followed, Measure, ModelDivision, RecordedPass, Sections
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut
from tribute.tasks import Batch, Model, measure_tokens


class Rows(NamedTuple):
    """A batch of query rows: where they are, their columns, and the query of each."""

    taken: slice
    batch: Batch
    query_B: Tensor


class Change(NamedTuple):
    """Measurements of a batch by the unperturbed model [B, ...], and how sources change them [C, B, ...], nats."""

    sources: slice
    rows: Rows
    value: Tensor
    change: Tensor


class RowsPass(NamedTuple):
    """A pass of a divided model on a batch of query rows; `followed`: what a linear head needs beside it."""

    rows: Rows
    recorded: RecordedPass
    followed: Followed | None

    @property
    def bytes(self) -> int:
        """What it keeps in memory."""
        return self.recorded.bytes + sum(each.numel() * each.element_size() for each in self.followed or ())


class ModelReader(ABC):
    """A read-out at one model, prepared once for any number of queries."""

    def __init__(self, perturbed: PerturbedModel) -> None:
        self._perturbed, self._device = perturbed, perturbed.theta_P.device
        self._sections = Sections(perturbed)
        self._own = perturbed.scope.part(perturbed.scope.task.pieces(perturbed.theta_P))

    def division(self, queries: QueryRows, measure: Measure) -> ModelDivision | None:
        """The divided model; None: it cannot be, or positions look at one another behind the scope."""
        found = self._sections.of(queries)
        by_row = measure == self._perturbed.scope.task.measure_by
        return found if found is not None and (by_row or found.by_position) else None

    def passes(
        self,
        division: ModelDivision,
        measure: Measure,
        batches: Iterable[Rows],
        kept: int,
        *,
        follow: bool = False,
    ) -> Iterator[list[RowsPass]]:
        """Passes of the unperturbed model, as many at once as keep at most `kept` bytes, but at least one.

        All of them are read out with some sources before others come: making perturbed models takes as long as
        running them on a row.
        """
        softmax = division.softmax if follow else None
        found, size = list[RowsPass](), 0
        for rows in batches:
            recorded = division.section.record(self._own, rows.batch, measure, by_logits=softmax is not None)
            followed = None if softmax is None else softmax.follow(recorded)
            each = RowsPass(rows, recorded._replace(by_logits=None), followed)
            if found and size + each.bytes > kept:
                yield found
                found, size = [], 0
            found.append(each)
            size += each.bytes
        yield found

    def chunks(self, largest: int) -> Iterator[slice]:
        """The sources in chunks of at most this many."""
        sources = len(self._perturbed.response_Sp)
        for begin in range(0, sources, largest):
            yield slice(begin, min(begin + largest, sources))

    @abstractmethod
    def changes(self, measure: Measure, queries: QueryRows) -> Iterator[Change]:
        """Changes of every row by every source; those by the first source come first for each row."""

    def read(self, queries: QueryRows) -> ReadOut:
        """Influences [Q, S] and measurements [Q], nats.

        Raises:
            ConfigError: not even one row fits the budget.
        """
        return self.summed(self.changes(self._perturbed.scope.task.measure_by, queries), queries)

    def summed(self, changes: Iterable[Change], queries: QueryRows) -> ReadOut:
        """Changes of rows, summed over the rows of each query."""
        theta_P, sources = self._perturbed.theta_P, len(self._perturbed.response_Sp)
        influence_QS = theta_P.new_zeros(len(queries.query_ids), sources)
        measured_Q = theta_P.new_zeros(len(queries.query_ids))
        for found in changes:
            influence_QS[:, found.sources].index_add_(0, found.rows.query_B, found.change.T)
            if found.sources.start == 0:
                measured_Q.index_add_(0, found.rows.query_B, found.value)
        return ReadOut(influence_QS, measured_Q)

    def read_tokens(self, queries: QueryRows) -> Tensor:
        """Influences on each position of each row, [N, T, S], nats; they add up to those on the row.

        Raises:
            ConfigError: the task has no `token_measurement`, or not even one row fits the budget.
        """

        def measure(model: Model, batch: Batch) -> Tensor:
            return measure_tokens(self._perturbed.scope.task, model, batch)

        rows, sources = len(queries.query_N), len(self._perturbed.response_Sp)
        influence_NTS = self._perturbed.theta_P.new_zeros(rows, 0, sources)
        for found in self.changes(measure, queries):
            if not influence_NTS.numel():
                influence_NTS = influence_NTS.new_zeros(rows, found.change.shape[-1], sources)
            influence_NTS[found.rows.taken, :, found.sources] = found.change.permute(1, 2, 0)
        return influence_NTS


def row_batches(queries: QueryRows, largest: int, perturbed: PerturbedModel) -> list[Rows]:
    """The rows in batches of at most `largest`, on the model's device."""
    batches = list(queries.batches(largest, perturbed.theta_P.device))
    return [
        Rows(slice(index * largest, index * largest + len(query_B)), batch, query_B)
        for index, (batch, query_B) in enumerate(batches)
    ]
