"""Rank correlation and LDS against scipy and by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from tribute.evaluation import linear_datamodeling_score, misallocated_pool, rank_correlation


def test_rank_correlation_is_scipy_s_averaged_over_rows() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(5, 8)), rng.normal(size=(5, 8)).round(1)
    expected = np.mean([spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)])
    assert rank_correlation(one, other) == pytest.approx(expected)


def test_rows_without_order_are_left_out() -> None:
    one = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    assert rank_correlation(one, np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])) == pytest.approx(-1)


def test_lds_of_an_additive_world_is_one_and_falls_with_noise() -> None:
    rng = np.random.default_rng(1)
    influence_QS, removed_MS = rng.normal(size=(4, 10)), rng.random((60, 10)) < 0.5
    lost_QM = influence_QS @ removed_MS.T
    assert linear_datamodeling_score(influence_QS, removed_MS, lost_QM) == pytest.approx(1)
    noisy = linear_datamodeling_score(influence_QS, removed_MS, lost_QM + 3 * rng.normal(size=lost_QM.shape))
    assert 0.2 < noisy < 0.9


def test_misallocated_pool_is_half_the_l1_distance() -> None:
    assert misallocated_pool({"a": 0.5, "b": 0.5}, {"a": 0.8, "b": 0.2}) == pytest.approx(0.3)
    with pytest.raises(KeyError, match="payees differ"):
        misallocated_pool({"a": 1.0}, {"b": 1.0})
