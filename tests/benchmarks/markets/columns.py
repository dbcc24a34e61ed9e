"""What each way to value sources says of a world, from its bank: values, and draws where it has any.

Legend: S sources, R replicates, K trainings, N draws, T seeds of the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.markets.bank import Bank, unpacked
from tests.benchmarks.markets.designs import REPLICATES
from tests.benchmarks.previous_default import calibrate, spot_sources
from tribute.evaluation import misallocated
from tribute.valuation.choice import Chooser
from tribute.valuation.intervals import interval
from tribute.valuation.posterior import Posterior, Trainings, expected_misallocation, posterior

Array = NDArray[np.float64]
ESTIMATES = ("paired_20", "cg", "nearest")
"""What the posterior is given of every world."""

BATCH = 4
"""Trainings chosen at once, as the product does."""

SPOTS = 4


@dataclass(frozen=True)
class Valued:
    """Values of sources; what they say of themselves; their cost in trainings, nominal and measured."""

    value_S: Array
    nominal: float
    measured: float
    draws_NS: Array | None = None
    predicted: float | None = None

    def judged(self, truth_TS: Array) -> dict[str, float]:
        """Its figures against retraining under other seeds, on other queries."""
        truth_S = truth_TS.mean(0)
        figures = {
            "misallocated_pool": misallocated(self.value_S, truth_S),
            "cost_in_trainings": self.nominal,
            "measured_cost_in_trainings": self.measured,
        }
        if self.draws_NS is not None:
            low_S, high_S = interval(self.draws_NS)
            figures["half_width"] = float((high_S - low_S).mean() / 2 / truth_S.mean())
            figures["coverage_95"] = float(((low_S <= truth_S) & (truth_S <= high_S)).mean())
        if self.predicted is not None:
            figures["predicted_misallocation"] = self.predicted
        return figures


def simulation_cost(bank: Bank, names: tuple[str, ...], index: int) -> float:
    """Trainings that estimates cost, all replicates: by trajectories (0), or by processor time (1)."""
    return sum(bank.cost(name)[index] * (1 if name == "nearest" else len(REPLICATES)) for name in names)


def simple(bank: Bank) -> dict[str, Valued]:
    """Token counts; the simulation alone; three retrainings of every source."""
    own_RS = bank.singles(REPLICATES)
    cost = float(own_RS.size)
    paired = simulation_cost(bank, ("paired_20",), 0), simulation_cost(bank, ("paired_20",), 1)
    return {
        "token_count": Valued(bank.size_S, 0.0, 0.0),
        "paired": Valued(np.nanmean(bank.estimate("paired_20"), 0), *paired),
        "three_retrains": Valued(own_RS.mean(0), cost, cost),
    }


def previous_default(bank: Bank, repetition: int) -> Valued:
    """Four spots under three seeds, calibrated."""
    spots = spot_sources(bank.size_S, SPOTS, repetition)
    truth_RN = bank.singles(REPLICATES)[:, spots]
    nominal, measured = (truth_RN.size + simulation_cost(bank, ("paired_20",), index) for index in range(2))
    if truth_RN.sum() <= 0:  # it then paid by tokens
        return Valued(bank.size_S, nominal, measured)
    found = calibrate({"paired": bank.estimate("paired_20")}, bank.size_S, spots, truth_RN)
    return Valued(found.value_S, nominal, measured, found.draws(1000, repetition))


def posterior_of(bank: Bank, trainings: Trainings, seed: int) -> Posterior:
    """The posterior of some trainings and of the cheap estimates."""
    return posterior({name: bank.estimate(name) for name in ESTIMATES}, bank.size_S, trainings, seed=seed)


def valued(bank: Bank, found: Posterior) -> Valued:
    """The posterior mean, as it is paid."""
    count = len(found.trainings.lost_K)
    nominal, measured = (count + simulation_cost(bank, ESTIMATES, index) for index in range(2))
    predicted = expected_misallocation(found.draws_NS, found.mean_S)
    return Valued(found.mean_S, nominal, measured, found.draws_NS, predicted)


def chosen(bank: Bank, repetition: int, counts: Sequence[int]) -> list[Posterior]:
    """The posteriors of a valuation that chooses its trainings batch by batch; one of them has each count."""
    known = Trainings.none(len(bank.size_S))
    found = [posterior_of(bank, known, repetition)]
    for count in sorted(counts):
        while len(known.lost_K) < count:
            rng = np.random.default_rng([repetition, len(known.lost_K)])
            chooser = Chooser(found[-1], list(REPLICATES), rng)
            picked = [chooser.pick() for _ in range(min(BATCH, count - len(known.lost_K)))]
            known = extended(bank, known, [(each.removed, each.seed) for each in picked if each])
            found.append(posterior_of(bank, known, repetition))
    return found


def random_fifths(bank: Bank, repetition: int, count: int) -> Posterior:
    """The posterior of random fifths, as many under each seed."""
    sources, rng = len(bank.size_S), np.random.default_rng(repetition)
    removed_KS, seed_K = unpacked(bank.arrays), bank.arrays["seed_K"]
    fifths_K = removed_KS.sum(1) == round(sources / 5)
    order = [rng.permutation(np.flatnonzero(fifths_K & (seed_K == seed))) for seed in REPLICATES]
    drawn = [int(k) for row in zip(*order, strict=True) for k in row][:count]
    known = Trainings.none(sources)
    sets = [(tuple(np.flatnonzero(removed_KS[k]).tolist()), int(seed_K[k])) for k in drawn]
    return posterior_of(bank, extended(bank, known, sets), repetition)


def extended(bank: Bank, known: Trainings, sets: Sequence[tuple[tuple[int, ...], int]]) -> Trainings:
    """The trainings and further ones, without some sources under a seed."""
    further_KS = np.zeros((len(sets), len(bank.size_S)), dtype=np.uint8)
    for row_S, (removed, _) in zip(further_KS, sets, strict=True):
        row_S[list(removed)] = 1
    seeds = [seed for _, seed in sets]
    bank.complete(zip(further_KS, seeds, strict=True))
    lost = [bank.lost(row_S, seed) for row_S, seed in zip(further_KS, seeds, strict=True)]
    return Trainings(
        np.concatenate([known.removed_KS, further_KS]),
        np.concatenate([known.seed_K, np.array(seeds, dtype=np.int64)]),
        np.concatenate([known.lost_K, lost]),
    )
