"""The product's valuation of a world, which learns from the bank's trainings in place of its own.

Legend: S sources, K trainings, R replicates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.markets.bank import MAIN, Bank
from tests.benchmarks.markets.designs import REPLICATES
from tribute.config import ValuationSettings
from tribute.valuation import Estimates, SourceSums, SourceValues, source_values
from tribute.valuation.estimates import MAIN as PAID_BY
from tribute.valuation.steps import BATCH, Seeds, ValuedBatch, next_step
from tribute.valuation.terms import LeftOut, Trainings, set_matrix

Array = NDArray[np.float64]


class Known(NamedTuple):
    """Trainings that a valuation has learnt from, and how many they count as."""

    trained: tuple[LeftOut, ...] = ()
    spent: float = 0.0

    @property
    def seeds(self) -> Seeds:
        """The replicates' seeds and those of earlier trainings, and a new one."""
        found = sorted({*REPLICATES, *(each.seed for each in self.trained)})
        return Seeds(tuple(found), (found[-1] + 1,))

    def after(self, chosen: Sequence[LeftOut]) -> "Known":
        """With further trainings; the first under a new seed counts two."""
        new = {each.seed for each in chosen} - {*self.seeds.trained}
        return Known((*self.trained, *chosen), self.spent + len(chosen) + len(new))


class Reached(NamedTuple):
    """What was known before a step, and the expected misallocated pool then."""

    known: Known
    expected: float


@dataclass(frozen=True)
class Valuation:
    """The values of a world's sources, by trainings that the product chooses.

    Args:
        estimates: names of what it weighs, the simulation among them.
    """

    bank: Bank
    settings: ValuationSettings
    estimates: tuple[str, ...] = (MAIN,)

    def learnt(self, start: Known | None = None) -> Iterator[Reached]:
        """What is known before every step, until the values are as asked for."""
        known = start or Known()
        while True:
            batch = ValuedBatch(self._known(known), self.bank.learnt_S, np.eye(len(self.bank.size_S)))
            step = next_step(self.settings, batch, known.spent, known.seeds)
            yield Reached(known, step.expected)
            if not step.chosen:
                return
            known = known.after([each.training for each in step.chosen])

    def resumed(self, others: Sequence[Reached]) -> list[Reached]:
        """The same; it goes on where another valuation, by the same seed, chose as this one would have."""
        precision, budget = self.settings.precision or 0.0, self.settings.budget
        went_on = [
            each.expected > precision and (budget is None or budget - each.known.spent > BATCH) for each in others
        ]
        common = (*went_on, False).index(False)
        common = min(common, len(others) - 1)
        return [*others[:common], *self.learnt(others[common].known)]

    def values(self, known: Known) -> SourceValues:
        """Values over the queries that judge, learnt on those that tune."""
        nats_RGS = self.bank.arrays["judging_groups"].astype(np.float64)
        zero_GS, (_, judging) = np.zeros(nats_RGS.shape[1:]), self.bank.queries
        sums = SourceSums(self._names, nats_RGS, zero_GS, zero_GS[0], judging, float(judging))
        return source_values(self.settings, sums, self.bank.learnt_S, self._known(known))

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(f"{s:03d}" for s in range(len(self.bank.size_S)))

    def _known(self, known: Known) -> Estimates:
        others = [name for name in self.estimates if name != MAIN]
        totals = {name: self.bank.estimate(name) for name in others} | {PAID_BY: self.bank.estimate(MAIN)}
        each, uses = np.eye(len(self._names)), float(self.bank.queries[0])
        trainings = self._trainings(known.trained)
        return Estimates("tuning", totals, self._names, each, trainings, tuple(REPLICATES), uses, shared=False)

    def _trainings(self, trained: Sequence[LeftOut]) -> Trainings:
        removed_KS = set_matrix((each.removed for each in trained), len(self._names)).astype(np.uint8)
        seeds = [each.seed for each in trained]
        self.bank.complete(zip(removed_KS, seeds, strict=True))
        lost = [self.bank.lost(row_S, seed) for row_S, seed in zip(removed_KS, seeds, strict=True)]
        return Trainings(removed_KS.astype(np.float64), np.array(seeds, np.int64), np.array(lost))


def random_fifths(bank: Bank, repetition: int, count: int) -> Known:
    """As many trainings without random fifths of the sources, in turn under each seed."""
    removed_KS, seed_K = bank.planned
    fifths_K = removed_KS.sum(1) == round(removed_KS.shape[1] / 5)
    rng = np.random.default_rng(repetition)
    order = [rng.permutation(np.flatnonzero(fifths_K & (seed_K == seed))) for seed in REPLICATES]
    drawn = [int(k) for row in zip(*order, strict=True) for k in row][:count]
    sets = [LeftOut(tuple(np.flatnonzero(removed_KS[k]).tolist()), int(seed_K[k])) for k in drawn]
    return Known().after(sets)
