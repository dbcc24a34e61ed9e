"""Distances of shares and influences from the truth.

Legend: Q queries, S sources, M removals, N resamples.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tribute.valuation import CONFIDENCE

Correlation = Callable[[NDArray[np.floating], NDArray[np.floating]], float]
"""Mean correlation of two arrays along the last axis."""

MAX_SPLITS = 35
"""Ways to divide seeds into two halves, at most."""


class Figure(NamedTuple):
    """A figure with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def clipped_shares(values: Mapping[str, float]) -> dict[str, float]:
    """Non-negative shares in proportion to the positive values; equal shares if no value is positive."""
    payable = {payee: max(value, 0.0) for payee, value in values.items()}
    total = sum(payable.values())
    return {payee: value / total if total else 1 / len(payable) for payee, value in payable.items()}


def misallocated_pool(paid: Mapping[str, float], owed: Mapping[str, float]) -> float:
    """Half the L1 distance between two divisions of a pool: the part that goes to the wrong payee, 0 to 1.

    Raises:
        KeyError: the two divisions have different payees.
    """
    if paid.keys() != owed.keys():
        raise KeyError(f"payees differ: {sorted(paid.keys() ^ owed.keys())}")
    return sum(abs(paid[payee] - owed[payee]) for payee in paid) / 2


def misallocated(paid_S: NDArray[np.floating], owed_S: NDArray[np.floating]) -> float:
    """The misallocated pool of two sets of values, [S] each; negative values are paid nothing."""
    one, other = ({str(i): v for i, v in enumerate(values.tolist())} for values in (paid_S, owed_S))
    return misallocated_pool(clipped_shares(one), clipped_shares(other))


def seed_ceiling(
    truths: Sequence[NDArray[np.floating]],
    metric: Callable[[NDArray[np.floating], NDArray[np.floating]], float],
) -> float | None:
    """Score of retraining under one half of the seeds against the other half; None for a single seed.

    Args:
        metric: of an estimate and a truth, such as `misallocated` or `rank_correlation`.
    """
    seeds = range(len(truths))
    halves = [half for half in combinations(seeds, len(truths) // 2) if half][:MAX_SPLITS]
    if not halves:
        return None
    means = [
        [np.mean([truths[seed] for seed in part], 0) for part in (half, set(seeds) - set(half))] for half in halves
    ]
    return float(np.mean([metric(one, other) for one, other in means]))


def rank_correlations(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Spearman's correlation along the last axis; NaN where all values of one argument are equal."""
    return linear_correlations(rankdata(one, axis=-1), rankdata(other, axis=-1))


def linear_correlations(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson's correlation along the last axis; NaN where all values of one argument are equal."""
    centred = [np.where(np.ptp(v, -1, keepdims=True) > 0, v - v.mean(-1, keepdims=True), 0) for v in (one, other)]
    norm = np.sqrt(np.square(centred[0]).sum(-1) * np.square(centred[1]).sum(-1))
    correlations: NDArray[np.float64] = (centred[0] * centred[1]).sum(-1) / np.where(norm > 0, norm, np.nan)
    return correlations


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Mean of Spearman's correlation along the last axis, without rows of equal values; NaN for none."""
    return _mean(rank_correlations(one, other))


def linear_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Mean of Pearson's correlation along the last axis, without rows of equal values; NaN for none."""
    return _mean(linear_correlations(one, other))


def _mean(correlations: NDArray[np.float64]) -> float:
    return float(np.nanmean(correlations)) if np.isfinite(correlations).any() else float("nan")


def linear_datamodeling_score(
    influence_QS: NDArray[np.floating], removed_MS: NDArray[np.bool_], lost_QM: NDArray[np.floating]
) -> float:
    """LDS: rank correlation of summed influences with real losses, over M random removals; mean over queries.

    Args:
        removed_MS: True where a retraining left a source out, [M, S].
        lost_QM: measurement of the full model minus that of each retrained model, [Q, M] nats.

    Source: TRAK, arXiv 2303.14186.
    """
    return rank_correlation(influence_QS @ removed_MS.T.astype(influence_QS.dtype), lost_QM)


def bootstrapped(
    one_QM: NDArray[np.floating],
    other_QM: NDArray[np.floating],
    resamples: int,
    seed: int,
    correlation: Correlation = rank_correlation,
) -> Figure | None:
    """Mean correlation, with an interval from resampling both queries (rows) and removals (columns).

    None if no row has an order.
    """
    value, rng = correlation(one_QM, other_QM), np.random.default_rng(seed)
    if not np.isfinite(value):
        return None
    queries, removals = one_QM.shape
    correlation_N = np.full(resamples, np.nan)
    for resample in range(resamples):
        drawn = np.ix_(rng.integers(queries, size=queries), rng.integers(removals, size=removals))
        correlation_N[resample] = correlation(one_QM[drawn], other_QM[drawn])
    low, high = np.nanquantile(correlation_N, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Figure(value, float(low), float(high))
