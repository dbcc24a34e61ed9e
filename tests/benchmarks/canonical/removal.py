"""Query-loss difference: what queries lose without the examples that a method ranks highest, against random ones.

Legend: N training examples, Q queries, K sets that are left out.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

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


def query_loss_differences(sets_KN: Sequence[NDArray[np.bool_]], retrain: Retrain) -> list[Figure]:
    """By how many nats a query loses more without each set than without a random one, mean over queries.

    The intervals are from resampling queries. One retraining for each set, and `RANDOM` more.
    """
    rng, examples = np.random.default_rng(0), len(sets_KN[0])
    drawn_RN = np.ones((RANDOM, examples), dtype=bool)
    for row_N in drawn_RN:
        row_N[rng.choice(examples, _size(examples), replace=False)] = False
    measured_KQ = np.asarray(retrain(np.concatenate([~np.stack(sets_KN), drawn_RN])), dtype=np.float64)
    lost_KQ = measured_KQ[-RANDOM:].mean(0) - measured_KQ[:-RANDOM]
    drawn_MQ = rng.integers(lost_KQ.shape[1], size=(RESAMPLES, lost_KQ.shape[1]))
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    figures = []
    for lost_Q in lost_KQ:
        low, high = np.quantile(lost_Q[drawn_MQ].mean(1), ends)
        figures.append(Figure(float(lost_Q.mean()), float(low), float(high)))
    return figures


def _size(examples: int) -> int:
    return max(1, round(PART * examples))
