"""The difference estimator: unbiased for any head, exact with every query, intervals that hold."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import t as student

from tribute.readout.distilled import (
    FOLDS,
    MAX_SAMPLED_SHARE,
    Distilled,
    Sample,
    difference_estimate,
    precise_estimate,
)

GROUPS = 8


class Month:
    """Queries whose influences are partly linear in their features, with skewed uses."""

    def __init__(self, queries: int, noise: float, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        feature_Qd = np.hstack([rng.normal(size=(queries, 12)), np.ones((queries, 1))])
        self.feature_Qd, self.queries = feature_Qd, queries
        curved_Q1 = np.square(feature_Qd[:, :1])  # the head is linear: it must miss this
        self.influence_QC = (
            feature_Qd @ rng.normal(size=(13, 3)) + curved_Q1 + noise * rng.gumbel(size=(queries, 3))
        )
        self.uses_Q = 1 + rng.exponential(size=queries)
        self.group_Q = rng.integers(GROUPS, size=queries)
        self.truth_C = self.uses_Q @ self.influence_QC
        self.feature_Gd = np.zeros((GROUPS, 13))
        np.add.at(self.feature_Gd, self.group_Q, self.uses_Q[:, None] * feature_Qd)

    def estimate(self, drawn: int, seed: int) -> Distilled:
        picked = np.random.default_rng([seed, 1]).permutation(self.queries)[:drawn]
        sample = Sample(
            self.queries,
            self.group_Q[picked],
            self.uses_Q[picked],
            self.feature_Qd[picked],
            self.influence_QC[picked],
        )
        return difference_estimate(sample, self.feature_Gd)


def test_totals_are_unbiased_even_of_small_populations() -> None:
    month = Month(60, noise=1.0)
    found = np.stack([month.estimate(30, seed).totals() for seed in range(3000)])
    error = found.std(0) / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - month.truth_C) < 4 * error).all()
    assert (error < 0.01 * np.abs(month.truth_C).max()).all()  # tight enough to see a bias


def test_every_query_read_out_is_exact() -> None:
    month = Month(50, noise=1.0)
    found = month.estimate(50, 0)
    np.testing.assert_allclose(found.totals(), month.truth_C, rtol=1e-9)
    np.testing.assert_allclose(found.standard_error(np.eye(3)), 0, atol=1e-9)


def test_intervals_hold_and_the_head_narrows_them() -> None:
    month, drawn = Month(4000, noise=0.5), 200
    inside, widths = [], []
    for seed in range(600):
        found = month.estimate(drawn, seed)
        half_C = student.ppf(0.975, drawn - 1) * found.standard_error(np.eye(3))
        inside.append(np.abs(found.totals() - month.truth_C) < half_C)
        widths.append(half_C)
    assert 0.93 < np.mean(inside) < 0.97
    used_QC = month.uses_Q[:, None] * month.influence_QC
    plain_C = 1.96 * month.queries * used_QC.std(0) / np.sqrt(drawn)
    assert (np.mean(widths, 0) < 0.7 * plain_C).all()


@pytest.mark.parametrize("wanted", [0.02, 0.01])
def test_the_sample_is_as_large_as_the_precision_asks_for(wanted: float) -> None:
    month, asked = Month(20_000, noise=0.5), list[int]()

    def estimate(drawn: int) -> Distilled:
        asked.append(drawn)
        return month.estimate(drawn, 0)

    found = precise_estimate(estimate, 20_000, np.eye(3), wanted)
    assert found is not None
    drawn, worth = len(found.residual_nC), np.clip(month.truth_C, 0, None).sum()
    assert drawn == asked[-1] and drawn % FOLDS == 0
    assert 200 < drawn < MAX_SAMPLED_SHARE * 20_000
    assert all(more <= 2 * less for less, more in pairwise(asked))
    half = 1.96 * month.estimate(drawn, 5).standard_error(np.eye(3)).max()
    assert 0.75 * wanted < half / worth < 1.25 * wanted


def test_a_precision_that_needs_most_queries_takes_all() -> None:
    month = Month(1000, noise=2.0)
    assert precise_estimate(lambda drawn: month.estimate(drawn, 0), 1000, np.eye(3), 1e-4) is None


def test_a_sample_that_does_not_fold_is_refused() -> None:
    with pytest.raises(ValueError, match="equal folds"):
        Month(50, 1.0).estimate(13, 0)
