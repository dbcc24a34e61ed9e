"""Rank correlation and LDS against scipy and by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from tribute.evaluation import (
    bootstrapped,
    linear_datamodeling_score,
    misallocated,
    misallocated_pool,
    rank_correlation,
    seed_ceiling,
)


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


def test_negative_values_are_paid_nothing() -> None:
    assert misallocated(np.array([3.0, 1.0, -7.0]), np.array([1.0, 1.0, 0.0])) == pytest.approx(0.25)


def test_the_interval_of_a_rank_correlation_covers_it_and_narrows_with_more() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 60))
    guess = truth + rng.normal(size=truth.shape)
    few, many = (bootstrapped(guess[:n, :m], truth[:n, :m], 200, 0) for n, m in ((20, 10), (200, 60)))
    assert few is not None and many is not None
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 2
    expected = rank_correlation(guess, truth)
    assert many.value == pytest.approx(expected) and many.low < expected < many.high


def test_what_has_no_order_has_no_rank_correlation() -> None:
    assert bootstrapped(np.ones((4, 5)), np.arange(20.0).reshape(4, 5), 100, 0) is None


def test_the_ceiling_judges_half_of_the_seeds_by_the_other_half() -> None:
    rng = np.random.default_rng(1)
    signal = np.arange(12.0)
    quiet, loud = ([signal + size * rng.normal(size=12) for _ in range(4)] for size in (0.1, 30))
    assert seed_ceiling(quiet, rank_correlation) > 0.95
    assert abs(seed_ceiling(loud, rank_correlation)) < 0.7
    assert seed_ceiling(quiet[:1], rank_correlation) is None
    two = seed_ceiling(quiet[:2], misallocated)
    assert two == pytest.approx(misallocated(quiet[0], quiet[1]))
