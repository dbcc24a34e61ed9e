"""How precise values are, and which trainings to run next, batch by batch, until they are precise enough.

A step depends on what is known before it alone, so an interrupted valuation goes on to the same values.
Legend: S sources, U units, P payees, K trainings.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.config import ValuationSettings
from tribute.errors import ConfigError
from tribute.ids import excerpt, listed
from tribute.valuation.choice import Chooser, Payees, Picked
from tribute.valuation.estimates import Estimates
from tribute.valuation.posterior import Posterior, expected_misallocation, shares
from tribute.valuation.terms import LeftOut

Array = NDArray[np.float64]
BATCH = 7
"""Trainings chosen at once, at most. It does not depend on the workers, so that they change no result."""
SEEDS_AT_ONCE = 2
"""Trained seeds in a batch: trainings of one seed run side by side, and share its full training."""
MAX_PER_UNIT = 10
"""Trainings for each unit, at most, where no budget is set."""
FAR = 0.01
"""Weight of a payee that surely stands on one side of the threshold."""
FORESEEN = 40
"""Further trainings that a prediction looks at, at most."""


class Seeds(NamedTuple):
    """Seeds whose full training is there, and those that would need one."""

    trained: tuple[int, ...]
    new: tuple[int, ...] = ()


class Step(NamedTuple):
    """A batch of trainings to run next; none: the values are as asked for.

    ``trainings``: how many there were before, at their cost. ``expected``: the expected misallocated pool given
    these, 0 to 1. ``needed``: further trainings until the precision is reached, as predicted; None: more
    than the budget or than `FORESEEN`, or no precision is asked for.
    """

    trainings: float
    expected: float
    needed: float | None
    chosen: tuple[Picked, ...]

    def text(self, settings: ValuationSettings) -> str:
        """The step in one line, for people."""
        reached = reached_text(self.expected, self.trainings)
        if settings.precision is None or not self.chosen:
            return reached
        foreseen = settings.budget is None or settings.budget - self.trainings > FORESEEN
        more = f"more than {FORESEEN} more" if foreseen else "more than the budget"
        if self.needed is not None:
            more = f"about {self.needed:.0f} more"
        return f"{reached}; {settings.precision:.1%} needs {more}"


class ValuedBatch(NamedTuple):
    """A batch of queries and who is paid for it.

    Args:
        tokens_S: learnt tokens, [S].
        split_SP: parts of the sources that the payees hold, [S, P].
        payee_ids: [P]; empty: nobody asks for one of them.
        diverged: trainings without some of the units that gave no loss, and never will.
    """

    estimates: Estimates
    tokens_S: Array
    split_SP: Array
    payee_ids: tuple[str, ...] = ()
    diverged: tuple[LeftOut, ...] = ()

    def part_UP(self) -> Array:
        """Parts of the units that payees hold, [U, P]; a unit is divided among its sources by tokens."""
        part_US = self.estimates.member_US * self.tokens_S
        return np.asarray(part_US / part_US.sum(1, keepdims=True) @ self.split_SP)

    def posterior(self, settings: ValuationSettings) -> Posterior:
        """The values of units."""
        return self.estimates.posterior(self.tokens_S, settings.resamples, settings.seed)


def next_step(settings: ValuationSettings, batch: ValuedBatch, spent: float, seeds: Seeds) -> Step:
    """How precise a batch's values are, and the trainings that make them more precise, if more are asked for.

    Args:
        spent: trainings that were run before, at their cost.

    Raises:
        ConfigError: `valuation.publisher` is none of the payees.
    """
    found = batch.posterior(settings)
    payees = _payees(settings, batch, found)
    expected = expected_misallocation(found.draws_NS, found.mean_S, payees.part_SP, payees.fallback_P)
    left = _most(settings, len(found.mean_S)) - spent
    if left <= 0 or (settings.precision is not None and expected <= settings.precision):
        return Step(spent, expected, None, ())
    new = seeds.new if left > 1 else ()
    rng = np.random.default_rng([settings.seed, int(spent)])
    several = [*_least_used(seeds.trained, batch.estimates), *new]
    chooser = Chooser(found, several, rng, payees, new, batch.diverged)
    chosen, cost, most = list[Picked](), 0.0, min(BATCH, left)
    while cost < most and not (chosen and _enough(chooser, settings.precision)):
        picked = chooser.pick(most - cost)
        if picked is None:
            break
        chosen.append(picked)
        cost += picked.cost
    needed = _needed(chooser, cost, left, settings.precision)
    return Step(spent, expected, needed, tuple(chosen))


def predicted(
    settings: ValuationSettings, batch: ValuedBatch, seeds: Seeds, counts: Iterable[int]
) -> dict[int, float]:
    """The expected misallocated pool after further trainings, by their cost; before any of them is run.

    The first training under a new seed costs two, as it does when it is run.
    """
    found, rng, ordered = batch.posterior(settings), np.random.default_rng([settings.seed, 0]), sorted(counts)
    new, payees = _foreseen(seeds, len(found.mean_S), ordered[-1]), _payees(settings, batch, found)
    chooser = Chooser(found, [*seeds.trained, *new], rng, payees, new, batch.diverged)
    cost, expected = 0.0, dict[int, float]()
    for count in ordered:
        while cost < count and (picked := chooser.pick(count - cost)):
            cost += picked.cost
        expected[count] = chooser.expected()
    return expected


def reached_text(expected: float, trainings: float) -> str:
    """For people: the expected misallocated pool that some trainings led to."""
    return f"{expected:.1%} of the pool expected in the wrong place after {trainings:.0f} trainings"


def require_payee(publisher: str | None, payee_ids: Sequence[str]) -> None:
    """Refuse a publisher whose share is to become precise, but who is paid for no source; None is nobody.

    Raises:
        ConfigError: names it and the publishers.
    """
    if publisher is not None and publisher not in payee_ids:
        raise ConfigError(
            f"valuation.publisher is {excerpt(publisher)}, who is paid for no source. Publishers: "
            f"{listed(payee_ids, 20)}"
        )


def diverged_text(diverged: Sequence[tuple[Sequence[str], int]]) -> str:
    """For people: which trainings diverged, each by the sources that it left out and its seed."""
    named = [f"without {listed(removed, 3)} under seed {seed}" for removed, seed in diverged]
    more = f" and {len(named) - 3:,} more" if len(named) > 3 else ""
    return (
        f"Trainings diverged ({len(named):,}): {'; '.join(named[:3])}{more}. They count as spent, and "
        "are not tried again. If many diverge, lower training.learning_rate or set training.clip_norm"
    )


def _most(settings: ValuationSettings, units: int) -> float:
    return MAX_PER_UNIT * units if settings.budget is None else settings.budget


def _payees(settings: ValuationSettings, batch: ValuedBatch, found: Posterior) -> Payees:
    """Payees with their weight in the choice: one publisher alone, or who may be on either side of a share."""
    part_UP, tokens_U = batch.part_UP(), batch.estimates.member_US @ batch.tokens_S
    weight_P, fallback_P = np.ones(part_UP.shape[1]), tokens_U @ part_UP / tokens_U.sum()
    require_payee(settings.publisher, batch.payee_ids)
    if settings.publisher is not None:
        weight_P = np.array([float(each == settings.publisher) for each in batch.payee_ids])
    if settings.threshold is not None:
        share_NP = shares(found.draws_NS @ part_UP, fallback_P)
        away_P = (share_NP.mean(0) - settings.threshold) / np.maximum(share_NP.std(0), 1e-9)
        weight_P *= np.maximum(np.exp(-np.square(away_P) / 2), FAR)
    return Payees(part_UP, weight_P, fallback_P)


def _foreseen(seeds: Seeds, units: int, trainings: int) -> tuple[int, ...]:
    """New seeds, as many as it takes to leave out single units in so many trainings."""
    count = max(1, -(-trainings // units) - len(seeds.trained))
    return tuple(first + further for first in seeds.new for further in range(count))


def _least_used(trained: Sequence[int], known: Estimates) -> list[int]:
    """The seeds of the next batch: those with the fewest trainings so far."""
    counts = {seed: int((known.trainings.seed_K == seed).sum()) for seed in trained}
    return sorted(trained, key=counts.__getitem__)[:SEEDS_AT_ONCE]


def _enough(chooser: Chooser, precision: float | None) -> bool:
    return precision is not None and chooser.expected() <= precision


def _needed(chooser: Chooser, cost: float, left: float, precision: float | None) -> float | None:
    """Trainings until the precision is reached, those of the batch included."""
    while precision is not None and cost <= min(left, FORESEEN):
        if _enough(chooser, precision):
            return cost
        picked = chooser.pick()
        if picked is None:
            break
        cost += picked.cost
    return None
