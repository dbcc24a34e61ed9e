"""The distilled read-out: unbiased totals over many queries, from one forward pass each.

A linear head predicts influences from features of the forward pass. A random sample of queries is read out
exactly. Totals are the sum of predictions, corrected by the sample: the difference estimator of survey sampling.
They are unbiased even if the head predicts badly.

Legend: Q queries, n of them sampled, G groups of queries, d features, C columns (source x replicate).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tribute.readout.ridge import fit_head

Array = NDArray[np.float64]
FOLDS = 5
PILOT_QUERIES = 200
"""Queries of the pilot sample, which determines the sample size."""
MAX_SAMPLED_SHARE = 0.5
"""Largest sample, as a share of all queries; beyond it, all queries are read out exactly."""
MAX_FITTED_QUERIES = 1000
"""Largest number of queries that a head is fitted to; more cost more than they improve it."""


@dataclass(frozen=True)
class Sample:
    """A simple random sample from `population` queries: group, uses, features and influences (nats) of each."""

    population: int
    group_n: NDArray[np.int64]
    uses_n: Array
    feature_nd: Array
    influence_nC: Array


@dataclass(frozen=True)
class Distilled:
    """Totals by the difference estimator.

    T = (Q / n) sum_sample u I + sum_G (predicted - expanded)

    `predicted_GC` sums the head's predictions over each group's queries. `expanded_GC` estimates the same sums
    from the sample. `residual_nC` holds u (I - prediction) of the sampled queries, by a head not fitted to them.
    All in nats.
    """

    sample: Sample
    predicted_GC: Array
    expanded_GC: Array
    residual_nC: Array

    def totals(self) -> Array:
        """Unbiased totals over all queries, [C] nats."""
        size = self.sample.population / len(self.sample.uses_n)
        exact_C = size * (self.sample.uses_n @ self.sample.influence_nC)
        return np.asarray(exact_C + (self.predicted_GC - self.expanded_GC).sum(0))

    def standard_error(self, of_CK: Array) -> Array:
        """Sampling error of weighted sums of the totals, [K] nats; 0 if every query was read out.

        Args:
            of_CK: weight of each column in each sum.
        """
        drawn, population = len(self.residual_nC), self.sample.population
        spread_K = (self.residual_nC @ of_CK).std(0, ddof=1)
        return np.asarray(population * spread_K * np.sqrt((1 - drawn / population) / drawn))


def difference_estimate(sample: Sample, feature_Gd: Array) -> Distilled:
    """Fit the head to all folds of the sample but one, correct it by the remaining fold, and average over folds.

    Fold k is a simple random sample of the queries outside the other folds. So
    T_k = sum_others u I + sum_rest u g_k + (|rest| / n_k) sum_k u (I - g_k) is exactly unbiased. In the mean over
    folds, every sampled influence has weight Q / n, the inverse of its inclusion probability.

    Args:
        sample: in random order; its size is a multiple of `FOLDS`.
        feature_Gd: sums of u x features over all queries of each group; the last feature is 1.

    Raises:
        ValueError: the size of the sample is not a multiple of `FOLDS`.

    Source: the difference estimator, Saerndal, Swensson & Wretman, Model Assisted Survey Sampling, 6.3.
    """
    drawn = len(sample.uses_n)
    if drawn % FOLDS or not drawn:
        raise ValueError(
            f"A sample of {drawn} queries cannot be cut into {FOLDS} equal folds. Draw a multiple of {FOLDS}"
        )
    predicted_GC = np.zeros((len(feature_Gd), sample.influence_nC.shape[1]))
    expanded_GC, residual_nC = np.zeros_like(predicted_GC), np.zeros_like(sample.influence_nC)
    for fold in range(FOLDS):
        fold_n = np.arange(drawn) % FOLDS == fold
        fitted = np.flatnonzero(~fold_n)[:MAX_FITTED_QUERIES]
        head_dC = fit_head(sample.feature_nd[fitted], sample.influence_nC[fitted])
        used_nd = sample.uses_n[:, None] * sample.feature_nd
        rest_Gd = feature_Gd - _by_group(used_nd[~fold_n], sample.group_n[~fold_n], len(feature_Gd))
        predicted_nC = used_nd[fold_n] @ head_dC
        rest = sample.population - drawn + fold_n.sum()
        predicted_GC += rest_Gd @ head_dC / FOLDS
        fold_GC = _by_group(predicted_nC, sample.group_n[fold_n], len(feature_Gd))
        expanded_GC += fold_GC * (rest / fold_n.sum() / FOLDS)
        residual_nC[fold_n] = sample.uses_n[fold_n, None] * sample.influence_nC[fold_n] - predicted_nC
    return Distilled(sample, predicted_GC, expanded_GC, residual_nC)


def precise_estimate(
    estimate: Callable[[int], Distilled], population: int, of_CK: Array, precision: float
) -> Distilled | None:
    """Enlarge the sample, at most doubling it each time, until the interval of every sum is narrow enough.

    A head fitted to more queries predicts better, so the pilot overestimates the sample size.

    Args:
        estimate: returns the estimate from a sample of a given size; larger samples contain smaller ones.
        of_CK: weight of each column in each sum.
        precision: half the 95% interval of each sum, as a share of the total of positive sums.

    Returns:
        None if the sample would exceed `MAX_SAMPLED_SHARE` of the population; read out every query then.
    """
    drawn = PILOT_QUERIES
    while drawn <= MAX_SAMPLED_SHARE * population:
        distilled = estimate(drawn)
        total = float(np.clip(distilled.totals() @ of_CK, 0, None).sum())
        needed = sample_size(distilled, of_CK, precision * total)
        if needed <= drawn:
            return distilled
        drawn = min(needed, 2 * drawn)
    return None


def sample_size(pilot: Distilled, of_CK: Array, half_width: float, confidence: float = 0.95) -> int:
    """Number of queries to read out exactly for an interval of each sum of at most this half width.

    n = a / (1 + a / Q) with a = (z Q sd / half width)^2, rounded up to a multiple of `FOLDS`; at least the size of
    the pilot, at most Q.

    Args:
        of_CK: weight of each column in each sum.
        half_width: nats.
    """
    population, drawn = pilot.sample.population, len(pilot.residual_nC)
    spread = float((pilot.residual_nC @ of_CK).std(0, ddof=1).max(initial=0.0))
    quantile = stdtrit(max(drawn - 1, 1), (1 + confidence) / 2)
    wanted = (quantile * population * spread / max(half_width, 1e-300)) ** 2
    needed = int(np.ceil(wanted / (1 + wanted / population) / FOLDS)) * FOLDS
    return min(max(needed, drawn), population)


def _by_group(value_nC: Array, group_n: NDArray[np.int64], groups: int) -> Array:
    sum_GC = np.zeros((groups, value_nC.shape[1]))
    np.add.at(sum_GC, group_n, value_nC)
    return sum_GC
