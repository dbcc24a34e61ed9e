"""Judging estimates of a world by retraining under other seeds.

Legend: R own seeds, T truth seeds, U units, S sources, P payees.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tribute.config import ValuationSettings
from tribute.evaluation import misallocated
from tribute.valuation.intervals import interval
from tribute.valuation.posterior import posterior
from tribute.valuation.terms import Trainings
from tribute.valuation.values import division_errors

Array = NDArray[np.float64]
REPLICATES = 3
DRAWS = 10
"""Draws of units that are left out, for every choice of replicates."""

SAMPLES = 1000
"""Draws behind an interval."""


def by_replicates(totals_RS: Array, truth_TS: Array, counts: Sequence[int]) -> dict[str, float]:
    """Misallocated pool of the mean of some replicates, averaged over the choices of them."""
    truth_S, seeds = truth_TS.mean(0), range(len(totals_RS))
    return {
        str(count): float(
            np.mean([misallocated(totals_RS[list(c)].mean(0), truth_S) for c in combinations(seeds, count)])
        )
        for count in counts
        if count <= len(totals_RS)
    }


def default_values(
    estimates: Mapping[str, Array],
    retrained_RU: Array,
    tokens_S: Array,
    truth_TP: Array,
    spots: int,
    member_US: Array | None = None,
    payee_SP: Array | None = None,
) -> dict[str, float]:
    """Misallocated pool and interval coverage of values, over replicates and draws of units that are left out.

    They are drawn at random, and left out once under each own seed; the product chooses them.

    Args:
        retrained_RU: what retraining without each unit gives under the own seeds.
        member_US: which sources are in a unit; default: one each.
        payee_SP: which sources are a payee's; default: one each.
    """
    truth_P, rng = truth_TP.mean(0), np.random.default_rng(0)
    payee_SP = np.eye(len(tokens_S)) if payee_SP is None else payee_SP
    member_US = np.eye(len(tokens_S)) if member_US is None else member_US
    tokens_U, settings = member_US @ tokens_S, ValuationSettings(resamples=SAMPLES)
    part_US = member_US * tokens_S / tokens_U[:, None]
    wrong, covered, width, weight = [], [], [], []
    for chosen in map(list, combinations(range(len(retrained_RU)), REPLICATES)):
        for trial in range(DRAWS):
            drawn = rng.choice(len(tokens_U), min(spots, len(tokens_U)), replace=False)
            own = {name: totals_RU[chosen] for name, totals_RU in estimates.items()}
            removed_KU = np.tile(np.eye(len(tokens_U))[drawn], (REPLICATES, 1))
            lost_K = retrained_RU[np.ix_(chosen, drawn)].ravel()
            trainings = Trainings(removed_KU, np.repeat(chosen, len(drawn)), lost_K)
            found = posterior(own, tokens_U, trainings, draws=SAMPLES, seed=trial)
            draws_DS = found.draws_NS @ part_US + division_errors(found, part_US, tokens_S, settings)
            low_P, high_P = interval(draws_DS @ payee_SP)
            wrong.append(misallocated(found.mean_S @ part_US @ payee_SP, truth_P))
            covered.append(((low_P <= truth_P) & (truth_P <= high_P)).mean())
            width.append((high_P - low_P).sum() / 2 / truth_P.sum())
            weight.append(found.token_weight)
    return {
        "misallocated_pool": float(np.mean(wrong)),
        "coverage_95": float(np.mean(covered)),
        "half_width": float(np.mean(width)),
        "token_weight": float(np.mean(weight)),
        "trials": len(wrong),
    }
