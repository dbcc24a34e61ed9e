"""Differences of the blocks in the scope, and what they do to the measurements through a head that runs once.

Legend: S sources, C a chunk of them, B rows, T positions of a row, h hidden states that enter the head.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from tribute.errors import ConfigError
from tribute.readout.block import Measure, ModelDivision
from tribute.readout.difference import Differences
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut
from tribute.readout.reader import Change, RowsPass, row_batches

HEAD_TOLERANCE = 0.001
"""Largest error of the head, as a part of the influences of a source on the rows that are compared."""
ROUNDING = 2.0
"""What rounding changes in a difference of measurements, in units in the last place of a measurement."""
COMPARED_ROWS = 8
"""Rows that are also read out exactly, over all calls."""


def shared_head(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """`shared_trunk`, but the head behind the scope runs once per query, whatever the number of sources.

    I[q, s] = g . dh + log E exp(-c): dh is the exact difference of the hidden states that enter the head, g the
    gradient of the measurement by them. The second term is there for a linear head with softmax: c = W dh less its
    mean under the model's probabilities. It is exact for vocabularies of at most 128 tokens; of larger ones, 128
    tokens that are drawn stand for the unlikely ones.

    The error is measured on rows spread over the first queries. Above `HEAD_TOLERANCE`, or where the model has no
    head behind the scope, it is `shared_trunk`. What rounding does to the differences of `shared_trunk` is not
    counted: it may be more than the error, since influences are small beside measurements.

    Raises:
        ConfigError: the scope is the whole model, or not even one row fits the budget.
    """
    return head_differences(perturbed, memory_gib).read(queries)


def head_differences(perturbed: PerturbedModel, memory_gib: float, kept_gib: float = 0.0) -> "HeadDifferences":
    """`shared_head`, prepared.

    Raises:
        ConfigError: the scope is the whole model, which has no head behind it.
    """
    if perturbed.scope.complete:
        raise ConfigError("readout.method shared_head needs a narrow simulation.scope, such as last_block or lora")
    return HeadDifferences(perturbed, memory_gib, kept_gib)


class HeadDifferences(Differences):
    """`shared_head`, prepared.

    Args:
        tolerance: the largest error with which the head is used.

    ``error``: the largest found on rows that were compared, as a part of a source's influences; None: not measured
    yet.
    """

    def __init__(
        self,
        perturbed: PerturbedModel,
        memory_gib: float,
        kept_gib: float = 0.0,
        *,
        tolerance: float = HEAD_TOLERANCE,
    ) -> None:
        super().__init__(perturbed, memory_gib, kept_gib, divided=True)
        self.error: float | None = None
        self._tolerance = tolerance
        self._compared = 0

    @property
    def follows(self) -> bool:  # type: ignore[override]
        """Whether the head runs once for all sources."""
        return self.error is not None and self.error <= self._tolerance

    def changes(self, measure: Measure, queries: QueryRows) -> Iterator[Change]:
        """Measurements minus those without each source."""
        division = self.division(queries, measure)
        if division is not None and self._compared < COMPARED_ROWS and (self.error is None or self.follows):
            rows = queries.spread(COMPARED_ROWS - self._compared)
            self.error = max(self.error or 0.0, self._measured_error(division, rows))
            self._compared += len(rows.query_N)
        return super().changes(measure, queries)

    def behind(self, division: ModelDivision, each: RowsPass, hidden: Tensor, heads: int) -> Tensor:
        """How measurements change with the hidden states that enter the head, [C, B, ...]; `heads` at once."""
        if not self.follows or (division.softmax is not None and each.followed is None):
            return super().behind(division, each, hidden, heads)
        return _through_head(division, each, hidden)

    def _measured_error(self, division: ModelDivision, queries: QueryRows) -> float:
        """Largest error of a source on these rows beyond rounding, as a part of its influences there."""
        measure = self._perturbed.scope.task.measure_by
        cut = self._cuts.cut(queries, division.pair_bytes)
        batches = row_batches(queries, cut.rows, self._perturbed)
        error_S, size_S = (self._theta_p.new_zeros(self._sources) for _ in range(2))
        squared = self._theta_p.new_zeros(())
        for passes in self.passes(division, measure, batches, self._cuts.kept, follow=True):
            squared += torch.stack([each.recorded.value.square().sum() for each in passes]).sum()
            for chosen in self.chunks(cut.sources):
                for each, hidden in self.hidden(division, passes, chosen):
                    exact = super().behind(division, each, hidden, cut.heads)
                    error_S[chosen] += (_through_head(division, each, hidden) - exact).square().sum(1)
                    size_S[chosen] += exact.square().sum(1)
        counted_S = torch.isfinite(size_S) & ~self._still_S
        if not counted_S.any():
            return 0.0
        rounding = ROUNDING * torch.finfo(squared.dtype).eps * squared.sqrt()
        off_S = (error_S.sqrt() - rounding).clamp(min=0)
        return float((off_S / size_S.sqrt().clamp(min=1e-30))[counted_S].max())


def _through_head(division: ModelDivision, each: RowsPass, hidden: Tensor) -> Tensor:
    change = each.recorded.hidden - hidden
    found = each.recorded.along(change)
    if division.softmax is not None and each.followed is not None:
        found = found + division.softmax.beyond(each.recorded, each.followed, change)
    return found
