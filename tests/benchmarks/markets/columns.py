"""What each way to value sources says of a world, from its bank: values, and draws where it has any.

Legend: S sources, R replicates, N draws, T seeds of the truth.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.markets.bank import ESTIMATES, MAIN, Bank
from tests.benchmarks.markets.designs import REPLICATES
from tests.benchmarks.markets.learning import Known, Reached, Valuation, random_fifths
from tests.benchmarks.previous_default import calibrate, spot_sources
from tribute.config import ValuationSettings
from tribute.evaluation import misallocated
from tribute.valuation.intervals import interval
from tribute.valuation.posterior import expected_misallocation, shares

Array = NDArray[np.float64]
USUAL, FEW, ALL = (MAIN, "nearest"), (MAIN, "cg", "nearest"), ESTIMATES
"""Estimates of the default; where a budget or a precision is asked for; and all that there are."""

SIMULATED = 6
"""Trainings that three replicates of these few estimates count as."""

PRECISION, MOST = 0.05, 100
"""A precision asked for, and the most trainings for it: where they differ by chance it would take far more."""

SPOTS = 4
HARMFUL = "shuffled labels"


@dataclass(frozen=True)
class Cost:
    """Trainings, by three counts.

    ``counted``: each replicate of the few estimates counts two. ``nominal``: simulations by steps, nothing side by
    side. ``measured``: simulations and estimators by processor time.
    """

    counted: float = 0.0
    nominal: float = 0.0
    measured: float = 0.0

    @classmethod
    def of(cls, bank: Bank, retrains: float, estimates: tuple[str, ...] = (MAIN,)) -> "Cost":
        """Of some real trainings and the replicates' estimates."""
        nominal, measured = (
            retrains + len(REPLICATES) * sum(bank.cost(name)[count] for name in estimates) for count in range(2)
        )
        others = sum(bank.cost(name)[1] for name in estimates if name not in FEW)
        return cls(retrains + SIMULATED + len(REPLICATES) * others, nominal, measured)


@dataclass(frozen=True)
class Valued:
    """Values of sources [S], joint draws of them [N, S] if there are any, and the cost."""

    value_S: Array
    cost: Cost
    draws_NS: Array | None = None

    def judged(self, bank: Bank) -> dict[str, float]:
        """Its figures against retraining under other seeds, on other queries.

        The mean of these retrainings has an error of its own. ``coverage_95`` and ``predicted_as_found`` are what
        the draws say of that mean; the coverage of the draws alone is ``coverage_of_draws``.
        """
        truth_TS = bank.truth()
        truth_S, error_S = truth_TS.mean(0), truth_TS.std(0, ddof=1) / np.sqrt(len(truth_TS))
        figures = {
            "misallocated_pool": misallocated(self.value_S, truth_S),
            "cost_in_trainings": self.cost.counted,
            "nominal_cost": self.cost.nominal,
            "measured_cost": self.cost.measured,
        }
        if self.draws_NS is not None:
            low_S, high_S = interval(self.draws_NS)
            figures["half_width"] = float((high_S - low_S).mean() / 2 / truth_S.mean())
            figures["coverage_of_draws"] = _covered(self.draws_NS, truth_S)
            figures["predicted_misallocation"] = expected_misallocation(self.draws_NS, self.value_S)
            noise_NS = np.random.default_rng(0).standard_normal(self.draws_NS.shape)
            found_NS = self.draws_NS + error_S * noise_NS
            figures["coverage_95"] = _covered(found_NS, truth_S)
            figures["predicted_as_found"] = expected_misallocation(found_NS, self.value_S)
            figures["paid_by_mean_of_shares"] = misallocated(shares(self.draws_NS).mean(0), truth_S)
            figures["paid_by_median_of_shares"] = misallocated(np.median(shares(self.draws_NS), 0), truth_S)
            figures["paid_by_median_of_values"] = misallocated(np.median(self.draws_NS, 0), truth_S)
        harmful_S = bank.arrays["kinds"] == HARMFUL
        if harmful_S.any():
            figures["harmful_value"] = float(self.value_S[harmful_S].mean() / np.abs(self.value_S).mean())
            figures["harmful_share"] = float(shares(self.value_S)[harmful_S].sum())
        return figures


def _covered(draws_NS: Array, truth_S: Array) -> float:
    low_S, high_S = interval(draws_NS)
    return float(((low_S <= truth_S) & (truth_S <= high_S)).mean())


def simple(bank: Bank) -> dict[str, Valued]:
    """Token counts; the simulation alone; three retrainings of every source."""
    own_RS = bank.singles(REPLICATES)
    retrains = float(own_RS.size)
    simulated_S = np.nanmean(bank.arrays[f"judged_{MAIN}"], 0)
    return {
        "token_count": Valued(bank.size_S, Cost()),
        "paired": Valued(simulated_S, Cost.of(bank, 0)),
        "three_retrains": Valued(own_RS.mean(0), Cost(retrains, retrains, retrains)),
    }


def previous_default(bank: Bank, repetition: int) -> Valued:
    """Four spots under three seeds, calibrated."""
    spots = spot_sources(bank.size_S, SPOTS, repetition)
    truth_RN = bank.singles(REPLICATES)[:, spots]
    cost = Cost.of(bank, truth_RN.size)
    if truth_RN.sum() <= 0:  # it then paid by tokens
        return Valued(bank.size_S, cost)
    found = calibrate({"paired": bank.estimate(MAIN)}, bank.size_S, spots, truth_RN)
    return Valued(found.value_S, cost, found.draws(1000, repetition))


def learnt(bank: Bank, repetition: int, budgets: tuple[int, ...]) -> dict[str, Valued]:
    """The product's default; a budget of trainings, simulations included; a precision; all estimates."""
    default = Valuation(bank, ValuationSettings(seed=repetition), USUAL)
    everything = Valuation(bank, _asked(repetition, 20), ALL)
    largest = Valuation(bank, _asked(repetition, max(budgets)), FEW)
    others = list(largest.learnt())
    asked = {f"budget_{budget}": _asked(repetition, budget) for budget in budgets}
    asked["precision_5%"] = ValuationSettings(seed=repetition, precision=PRECISION, budget=MOST)
    found = {"default": _valued(default, _last(default.learnt()))}
    for name, settings in asked.items():
        valuation = Valuation(bank, settings, FEW)
        found[name] = _valued(valuation, _last(valuation.resumed(others)))
    for budget in budgets:
        known = random_fifths(bank, repetition, budget - SIMULATED)
        found[f"random_fifths_{budget}"] = _valued(largest, known)
    return found | {"budget_20_all": _valued(everything, _last(everything.learnt()))}


def _asked(repetition: int, trainings: int) -> ValuationSettings:
    return ValuationSettings(seed=repetition, precision=None, budget=trainings - SIMULATED)


def _last(reached: Iterable[Reached]) -> Known:
    return list(reached)[-1].known


def _valued(valuation: Valuation, known: Known) -> Valued:
    values = valuation.values(known)
    return Valued(values.value_S, Cost.of(valuation.bank, known.spent, valuation.estimates), values.draws_NS)
