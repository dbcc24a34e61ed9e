"""The distilled read-out: totals of many queries from one forward pass each, unbiased whatever the head does.

A linear head predicts influences from what the forward pass holds; a random sample of queries is read out exactly;
totals are the prediction's, corrected by the sample (the difference estimator of survey sampling).

Legend: Q queries, n of them sampled, G groups of queries, d features, C columns (source x replicate).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]
FOLDS = 5
PILOT = 200
"""Queries that are read out exactly to find out how many are needed."""
WORTHWHILE = 0.5
"""A sample above this part of all queries saves too little: all are read out."""
LEARNED = 1000
"""Queries that a head learns from at most: more cost more than they teach."""
PENALTIES = 10.0 ** np.arange(-4, 5)
"""Ridge penalties tried, in units of the mean squared length of the features."""


@dataclass(frozen=True)
class Sample:
    """Queries drawn by simple random sampling from `population`: their group, uses, features and influences."""

    population: int
    group_n: NDArray[np.int64]
    uses_n: Array
    feature_nd: Array
    influence_nC: Array


@dataclass(frozen=True)
class Distilled:
    """Totals by the difference estimator.

    T = (Q / n) sum_sample u I + sum_G (predicted - expanded)

    `predicted_GC` sums the head's predictions over each group's queries, `expanded_GC` is what the sample says of
    the same sums, `residual_nC` is u (I - prediction) of sampled queries by a head that has not seen them; nats.
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
        """Sampling error of sums of the totals, [K] nats; 0 if every query was read out.

        Args:
            of_CK: the weight of every column in every sum.
        """
        drawn, population = len(self.residual_nC), self.sample.population
        spread_K = (self.residual_nC @ of_CK).std(0, ddof=1)
        return np.asarray(population * spread_K * np.sqrt((1 - drawn / population) / drawn))

    def explained(self) -> Array:
        """Part of the influences' variance that the head predicts of queries it has not seen, [C]."""
        influence_nC = self.sample.uses_n[:, None] * self.sample.influence_nC
        spread_C = np.square(influence_nC - influence_nC.mean(0)).mean(0)
        return np.asarray(1 - np.square(self.residual_nC).mean(0) / np.maximum(spread_C, 1e-300))


def difference_estimate(sample: Sample, feature_Gd: Array) -> Distilled:
    """Fit the head on all folds of the sample but one, correct it by that one, and average over folds.

    Fold k is a simple random sample of what the others left, so that
    T_k = sum_others u I + sum_rest u g_k + (|rest| / n_k) sum_k u (I - g_k) is unbiased exactly, and the weight of
    every sampled influence in the mean over folds is Q / n, the inverse of its inclusion probability.

    Args:
        sample: in random order; a multiple of `FOLDS`.
        feature_Gd: sums of u x features over all queries of each group; the last feature is 1.

    Raises:
        ValueError: the size of the sample is no multiple of `FOLDS`.

    Source: the difference estimator, Saerndal, Swensson & Wretman, Model Assisted Survey Sampling, 6.3.
    """
    drawn = len(sample.uses_n)
    if drawn % FOLDS or not drawn:
        raise ValueError(f"a sample of {drawn} queries does not fall into {FOLDS} equal folds")
    predicted_GC = np.zeros((len(feature_Gd), sample.influence_nC.shape[1]))
    expanded_GC, residual_nC = np.zeros_like(predicted_GC), np.zeros_like(sample.influence_nC)
    for fold in range(FOLDS):
        own_n = np.arange(drawn) % FOLDS == fold
        learned = np.flatnonzero(~own_n)[:LEARNED]
        head_dC = fit_head(sample.feature_nd[learned], sample.influence_nC[learned])
        used_nd = sample.uses_n[:, None] * sample.feature_nd
        rest_Gd = feature_Gd - _by_group(used_nd[~own_n], sample.group_n[~own_n], len(feature_Gd))
        guess_nC = used_nd[own_n] @ head_dC
        left = sample.population - drawn + own_n.sum()
        predicted_GC += rest_Gd @ head_dC / FOLDS
        expanded_GC += _by_group(guess_nC, sample.group_n[own_n], len(feature_Gd)) * (left / own_n.sum() / FOLDS)
        residual_nC[own_n] = sample.uses_n[own_n, None] * sample.influence_nC[own_n] - guess_nC
    return Distilled(sample, predicted_GC, expanded_GC, residual_nC)


def precise_estimate(
    estimate: Callable[[int], Distilled], population: int, of_CK: Array, precision: float
) -> Distilled | None:
    """Enlarge the sample, to twice its size at most, until every sum's interval is narrow enough.

    A head that has seen more predicts better, so what the pilot asks for is more than what is needed in the end.

    Args:
        estimate: the estimate from a sample of this many queries, which holds the smaller ones.
        of_CK: the weight of every column in every sum.
        precision: half the 95% interval of each sum, as a part of all positive sums.

    Returns:
        None if the sample would be more than `WORTHWHILE` of the population: read out everything then.
    """
    drawn = PILOT
    while drawn <= WORTHWHILE * population:
        found = estimate(drawn)
        worth = float(np.clip(found.totals() @ of_CK, 0, None).sum())
        needed = sample_size(found, of_CK, precision * worth)
        if needed <= drawn:
            return found
        drawn = min(needed, 2 * drawn)
    return None


def fit_head(feature_nd: Array, influence_nC: Array) -> Array:
    """Ridge regression with a free intercept (the last feature), [d, C]; its penalty by leave-one-out error.

    In the dual: head = X' (X X' + penalty I)^-1 Y, with features scaled to a mean squared length of 1.
    """
    scale_d = np.sqrt(np.maximum(np.square(feature_nd).mean(0), 1e-12))
    scale_d[:-2] = np.sqrt(max(np.square(feature_nd[:, :-2]).sum(1).mean(), 1e-12))
    x_nd = feature_nd / scale_d
    mean_d, mean_C = x_nd[:, :-1].mean(0), influence_nC.mean(0)
    x_nd, y_nC = x_nd[:, :-1] - mean_d, influence_nC - mean_C
    value_n, vector_nn = np.linalg.eigh(x_nd @ x_nd.T)
    value_n, turned_nC = np.clip(value_n, 0, None), vector_nn.T @ y_nC
    penalties = PENALTIES * max(value_n.mean(), 1e-12)
    errors = []
    for penalty in penalties:
        shrunk_n = penalty / (value_n + penalty)
        own_n = np.square(vector_nn) @ shrunk_n  # 1 - leverage
        errors.append(np.square((vector_nn @ (shrunk_n[:, None] * turned_nC)) / own_n[:, None]).sum())
    best = penalties[int(np.argmin(errors))]
    slope_dC = x_nd.T @ (vector_nn @ (turned_nC / (value_n + best)[:, None]))
    slope_dC = slope_dC / scale_d[:-1, None]
    return np.vstack([slope_dC, mean_C - (mean_d * scale_d[:-1]) @ slope_dC])


def sample_size(pilot: Distilled, of_CK: Array, half_width: float, confidence: float = 0.95) -> int:
    """How many queries must be read out exactly for intervals of every sum that are this wide, rounded up.

    n = a / (1 + a / Q) with a = (z Q sd / half width)^2, at least the pilot's, at most Q, a multiple of `FOLDS`.

    Args:
        of_CK: the weight of every column in every sum.
        half_width: nats.
    """
    population, drawn = pilot.sample.population, len(pilot.residual_nC)
    spread = float((pilot.residual_nC @ of_CK).std(0, ddof=1).max(initial=0.0))
    quantile = stdtrit(max(drawn - 1, 1), (1 + confidence) / 2)
    wanted = (quantile * population * spread / max(half_width, 1e-300)) ** 2
    needed = int(np.ceil(wanted / (1 + wanted / population) / FOLDS)) * FOLDS
    return min(max(needed, drawn), population)


def _by_group(value_nC: Array, group_n: NDArray[np.int64], groups: int) -> Array:
    found = np.zeros((groups, value_nC.shape[1]))
    np.add.at(found, group_n, value_nC)
    return found
