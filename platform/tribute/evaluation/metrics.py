"""How far shares and influences are from the truth.

Legend: Q queries, S sources, M removals, N resamples.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tribute.valuation import CONFIDENCE

SPLITS = 35
"""Most ways to divide seeds into two halves."""


class Figure(NamedTuple):
    """A figure with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def clipped_shares(values: Mapping[str, float]) -> dict[str, float]:
    """Non-negative shares in proportion to the positive values; equal ones if there are none."""
    payable = {payee: max(value, 0.0) for payee, value in values.items()}
    total = sum(payable.values())
    return {payee: value / total if total else 1 / len(payable) for payee, value in payable.items()}


def misallocated_pool(paid: Mapping[str, float], owed: Mapping[str, float]) -> float:
    """Half the L1 distance between two divisions of a pool: the part of the money that goes to the wrong payee.

    Raises:
        KeyError: a payee of one is not in the other.
    """
    if paid.keys() != owed.keys():
        raise KeyError(f"payees differ: {sorted(paid.keys() ^ owed.keys())}")
    return sum(abs(paid[payee] - owed[payee]) for payee in paid) / 2


def misallocated(paid_S: NDArray[np.floating], owed_S: NDArray[np.floating]) -> float:
    """The misallocated pool of two sets of values, negative ones paid nothing."""
    one, other = ({str(i): v for i, v in enumerate(values.tolist())} for values in (paid_S, owed_S))
    return misallocated_pool(clipped_shares(one), clipped_shares(other))


def seed_ceiling(
    truths: Sequence[NDArray[np.floating]],
    judge: Callable[[NDArray[np.floating], NDArray[np.floating]], float],
) -> float | None:
    """How well retraining under one half of the seeds does, judged by the other half; None for a single seed.

    Args:
        judge: a metric of an estimate and a truth, such as `misallocated` or `rank_correlation`.
    """
    seeds = range(len(truths))
    halves = [half for half in combinations(seeds, len(truths) // 2) if half][:SPLITS]
    if not halves:
        return None
    means = [
        [np.mean([truths[seed] for seed in part], 0) for part in (half, set(seeds) - set(half))] for half in halves
    ]
    return float(np.mean([judge(one, other) for one, other in means]))


def rank_correlations(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Spearman's correlation along the last axis; NaN where one of the two has no order."""
    ranks = [rankdata(values, axis=-1) for values in (one, other)]
    centred = [rank - rank.mean(-1, keepdims=True) for rank in ranks]
    norm = np.sqrt(np.square(centred[0]).sum(-1) * np.square(centred[1]).sum(-1))
    found: NDArray[np.float64] = (centred[0] * centred[1]).sum(-1) / np.where(norm > 0, norm, np.nan)
    return found


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's correlation along the last axis, averaged over rows that have any order; NaN if none has."""
    found = rank_correlations(one, other)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def linear_datamodeling_score(
    influence_QS: NDArray[np.floating], removed_MS: NDArray[np.bool_], lost_QM: NDArray[np.floating]
) -> float:
    """LDS: rank correlation, over M random removals, of summed influences with what was really lost; mean over Q.

    Args:
        removed_MS: the sources that each retraining went without, [M, S].
        lost_QM: measurement with everything minus that without them, nats.

    Source: TRAK, arXiv 2303.14186.
    """
    return rank_correlation(influence_QS @ removed_MS.T.astype(influence_QS.dtype), lost_QM)


def bootstrapped(
    one_QM: NDArray[np.floating], other_QM: NDArray[np.floating], resamples: int, seed: int
) -> Figure | None:
    """Mean rank correlation with an interval from resampling both queries (rows) and removals (columns).

    None if nothing has an order.
    """
    value, rng = rank_correlation(one_QM, other_QM), np.random.default_rng(seed)
    if not np.isfinite(value):
        return None
    queries, removals = one_QM.shape
    found_N = np.full(resamples, np.nan)
    for resample in range(resamples):
        drawn = np.ix_(rng.integers(queries, size=queries), rng.integers(removals, size=removals))
        found_N[resample] = rank_correlation(one_QM[drawn], other_QM[drawn])
    low, high = np.nanquantile(found_N, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Figure(value, float(low), float(high))
