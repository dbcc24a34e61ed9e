"""Query-loss difference: what queries lose without the examples that a method ranks highest, against random ones.

Legend: N training examples, Q queries, K sets that are left out, R of them random.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from tribute.evaluation.metrics import Figure
from tribute.valuation import CONFIDENCE

PART = 0.01
"""Of the examples, the part that is left out."""
RANDOM = 20
"""Random sets of as many examples, whose mean the others are compared with."""
RESAMPLES = 1000
Retrain = Callable[[NDArray[np.bool_]], NDArray[np.floating]]
"""Measurements [K, Q] of models trained on the kept examples, [K, N], under the seed of the judged model."""


def left_out(score_NQ: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The part of the examples with the highest scores, summed over the queries, [N]."""
    total_N = score_NQ.sum(1, dtype=np.float64)
    chosen_N = np.zeros(len(total_N), dtype=bool)
    chosen_N[np.argsort(-total_N, kind="stable")[: _size(len(total_N))]] = True
    return chosen_N


def query_loss_differences(
    sets_KN: Sequence[NDArray[np.bool_]], retrain: Retrain, random_RQ: NDArray[np.floating]
) -> list[Figure]:
    """By how many nats a query loses more without each set than without a random one, mean over queries.

    One retraining for each set, and `RANDOM` more where the bank has none; the intervals are those of
    `against_random`.

    Args:
        random_RQ: what trainings without random sets of this size measured, such as those of a bank; may be empty.
    """
    drawn_RN = random_sets(len(sets_KN[0])) if len(random_RQ) < RANDOM else np.zeros((0, len(sets_KN[0])), bool)
    measured_KQ = np.asarray(retrain(~np.concatenate([np.stack(sets_KN), drawn_RN])), dtype=np.float64)
    known_RQ = measured_KQ[len(sets_KN) :] if len(drawn_RN) else random_RQ
    return against_random(measured_KQ[: len(sets_KN)], known_RQ)


def random_sets(examples: int) -> NDArray[np.bool_]:
    """The random sets, [R, N], always the same."""
    rng, drawn_RN = np.random.default_rng(0), np.zeros((RANDOM, examples), dtype=bool)
    for row_N in drawn_RN:
        row_N[rng.choice(examples, _size(examples), replace=False)] = True
    return drawn_RN


def against_random(measured_KQ: NDArray[np.floating], random_RQ: NDArray[np.floating]) -> list[Figure]:
    """Mean over queries of what the random sets measure on average minus what each set measures, nats.

    The interval is from resampling queries, widened by `chance`: an interval above 0 says that a set did more than
    a random one would, not only that these queries agree.
    """
    rng, by_chance = np.random.default_rng(0), chance(random_RQ)
    lost_KQ = random_RQ.mean(0, dtype=np.float64) - measured_KQ
    drawn_MQ = rng.integers(lost_KQ.shape[1], size=(RESAMPLES, lost_KQ.shape[1]))
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    figures = []
    for lost_Q in lost_KQ:
        value, (low, high) = lost_Q.mean(), np.quantile(lost_Q[drawn_MQ].mean(1), ends)
        figures.append(widened(Figure(float(value), float(low), float(high)), by_chance))
    return figures


def chance(random_RQ: NDArray[np.floating]) -> float:
    """How far one more random set is from the mean of these in 95 % of cases, mean over queries, nats.

    It is the half-width of Student's prediction interval: t s sqrt(1 + 1/R), s the standard deviation of the sets.
    """
    count, spread = len(random_RQ), random_RQ.mean(1, dtype=np.float64).std(ddof=1)
    return float(t.ppf((1 + CONFIDENCE) / 2, count - 1) * spread * np.sqrt(1 + 1 / count))


def widened(figure: Figure, half_width: float) -> Figure:
    """A figure to which an independent error is added: on either side, widths add up as the root of squares.

    Source: Zou and Donner, Statistics in Medicine 27 (2008), 1693-1702.
    """
    value, low, high = figure
    below, above = (float(np.hypot(width, half_width)) for width in (value - low, high - value))
    return Figure(value, value - below, value + above)


def _size(examples: int) -> int:
    return max(1, round(PART * examples))
