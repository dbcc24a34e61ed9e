"""Read-outs by the derivative of the measurement along the responses, in forward and in reverse mode.

Legend: P parameters, p of the scope, S sources, C a chunk of them, B rows, Q queries. `...` stands for nothing, or
for positions of a row.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad

from tribute.readout.block import Measure, Pieces, ScopeSection
from tribute.readout.cuts import Cuts
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut
from tribute.readout.reader import Change, ModelReader, Rows, row_batches
from tribute.tasks import Batch, batched, forward_mode

GRADIENT_BYTES = 2**24
"""Bytes of gradients held at once; larger blocks do not fit the processor's caches and are slower."""
DOT_SOURCES = 64
"""Responses in one product with a gradient."""


def jvp(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """I[q, s] = grad f(theta; q) . r_s in forward mode, without backward passes or stored gradients.

    The limit of `difference` for small responses. Cost: one forward pass for the model and about two per source.
    In a narrow scope the trunk is computed once. Where the head behind the scope can be told apart, head and scope
    run backward once per row, and a source costs a dot product.

    Args:
        memory_gib: budget of tangents and activations evaluated at once; it changes only rounding.

    Returns:
        Influences [Q, S] and measurements [Q], nats. Positive influence: the source helped the query.

    Raises:
        ConfigError: not even one row fits the budget.

    Source: arXiv 2511.19803.
    """
    return Tangents(perturbed, memory_gib).read(queries)


def adjoint(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """The influences of `jvp` in reverse mode: one backward pass per query row, then dot products with responses.

    An independent check of `jvp`, and cheaper for very many sources. Cost: about three forward passes, and 2 p
    flops per source.

    Raises:
        ConfigError: not even one row fits the budget.
    """
    return Gradients(perturbed, memory_gib).read(queries)


class RowGradients(NamedTuple):
    """Measurements of a batch of rows, [B], and their gradients by the scope, [B, p]."""

    rows: Rows
    value: Tensor
    gradient_Bp: Tensor


def _first(found: Iterator[RowGradients], numbers: int) -> Iterator[RowGradients]:
    """The next gradients, at least one batch, and at most this many rows or those of the last batch more."""
    taken = 0
    while taken < numbers and (each := next(found, None)):
        taken += len(each.gradient_Bp)
        yield each


class Tangents(ModelReader):
    """Derivatives in forward mode, at one point, along many responses at once.

    Args:
        memory_gib: budget of tangents and activations evaluated at once.
    """

    def __init__(self, perturbed: PerturbedModel, memory_gib: float) -> None:
        super().__init__(perturbed)
        self._cuts = Cuts(perturbed, memory_gib, copies=2, shared=True)

    def changes(self, measure: Measure, queries: QueryRows) -> Iterator[Change]:
        """Derivatives of measurements along each response."""
        division = self.division(queries, measure)
        if division is None:
            yield from self._of_whole_model(measure, queries)
            return
        if measure == self._perturbed.scope.task.measure_by:
            yield from self._of_rows(division.section, measure, queries)
            return
        scope, section = self._perturbed.scope, division.section
        cut = self._cuts.cut(queries, division.pair_bytes)
        batches = row_batches(queries, cut.rows, self._perturbed)
        for passes in self.passes(division, measure, batches, self._cuts.kept):
            for chosen in self.chunks(cut.sources):
                directions = scope.pieces(self._perturbed.response_Sp[chosen])
                for rows, recorded, _ in passes:
                    reach = partial(section.hidden, recorded=recorded)
                    along = batched(lambda by, reach=reach: forward_mode(reach, (self._own,), (by,))[1])
                    yield Change(chosen, rows, recorded.value, recorded.along(along(directions)))

    def _of_rows(self, section: ScopeSection, measure: Measure, queries: QueryRows) -> Iterator[Change]:
        """The same number by rows: head and section run backward once, whatever the number of sources."""
        self._cuts.cut(queries)  # refuses a budget that is too small

        def found() -> Iterator[RowGradients]:
            for each in row_batches(queries, 1, self._perturbed):
                recorded = section.record(self._own, each.batch, measure)
                pieces = section.gradient(recorded, self._own)
                yield RowGradients(each, recorded.value, torch.cat([piece.reshape(-1) for piece in pieces])[None])

        return self._along_responses(found())

    def _along_responses(self, found: Iterator[RowGradients]) -> Iterator[Change]:
        """Gradients times responses: as many gradients at once as are kept, so that responses are read once."""
        response_Sp, vector = self._perturbed.response_Sp, self._perturbed.theta_p
        numbers = max(1, self._cuts.kept // (vector.numel() * vector.element_size()))
        largest = DOT_SOURCES if isinstance(response_Sp, Tensor) else min(DOT_SOURCES, numbers)
        while held := list(_first(found, numbers)):
            for chosen in self.chunks(largest):
                response_Cp = response_Sp[chosen]
                for rows, value, gradient_Bp in held:
                    yield Change(chosen, rows, value, response_Cp @ gradient_Bp.T)

    def _of_whole_model(self, measure: Measure, queries: QueryRows) -> Iterator[Change]:
        scope, response_Sp = self._perturbed.scope, self._perturbed.response_Sp
        named = scope.task.pieces(self._perturbed.theta_P)

        def along(direction: Pieces, batch: Batch) -> tuple[Tensor, Tensor]:
            def at(own: Pieces) -> Tensor:
                return measure(scope.task.measured_model(named | dict(own)), batch)

            return forward_mode(at, (self._own,), (direction,))

        cut = self._cuts.cut(queries)
        batches = row_batches(queries, cut.rows, self._perturbed)
        for chosen in self.chunks(cut.sources):
            directions = scope.pieces(response_Sp[chosen])
            for each in batches:
                value_C, change_C = batched(along, (0, None))(directions, each.batch)
                yield Change(chosen, each, value_C[0], change_C)


class Gradients(Tangents):
    """The derivatives of whole rows in reverse mode; those of positions stay in forward mode."""

    def __init__(self, perturbed: PerturbedModel, memory_gib: float) -> None:
        super().__init__(perturbed, memory_gib)
        self._vector = perturbed.theta_p.numel() * perturbed.theta_p.element_size()
        self._row_cuts = Cuts(perturbed, memory_gib, per_row=2 * self._vector)
        self._task, self._theta_p = perturbed.task, perturbed.theta_p

    def read(self, queries: QueryRows) -> ReadOut:
        """Influences [Q, S] and measurements [Q], nats.

        Raises:
            ConfigError: not even one row fits the budget.
        """
        largest = min(self._row_cuts.cut(queries).rows, max(1, GRADIENT_BYTES // self._vector))

        def found() -> Iterator[RowGradients]:
            for rows in row_batches(queries, largest, self._perturbed):
                gradient_Bp, value_B = batched(self._gradient)(dict(rows.batch))
                yield RowGradients(rows, value_B, gradient_Bp)

        return self.summed(self._along_responses(found()), queries)

    def _gradient(self, row: Batch) -> tuple[Tensor, Tensor]:
        single = {name: value[None] for name, value in row.items()}

        def measure(at_p: Tensor) -> tuple[Tensor, Tensor]:
            value = self._task.measure(at_p, single)[0]
            return value, value

        return grad(measure, has_aux=True)(self._theta_p)
