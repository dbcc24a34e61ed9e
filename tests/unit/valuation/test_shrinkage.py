"""Shrinkage towards the token-count share."""

import numpy as np
import pytest

from tribute.valuation.shrinkage import SINGLE_REPLICATE, UNCALIBRATED_FLOOR, shrink, token_weight

TOKENS = np.array([0.5, 0.3, 0.2])


def test_replicates_that_agree_are_trusted_up_to_the_floor() -> None:
    same = np.array([[1.0, 8.0, 1.0]] * 3)
    assert token_weight(same, TOKENS) == UNCALIBRATED_FLOOR


def test_replicates_that_disagree_wildly_are_not_trusted() -> None:
    wild = np.array([[9.0, 0.5, 0.5], [0.5, 9.0, 0.5], [0.5, 0.5, 9.0]])
    assert token_weight(wild, TOKENS) == 1.0


def test_the_weight_between_is_noise_over_distance() -> None:
    values = np.array([[2.0, 6.0, 2.0], [4.0, 4.0, 2.0], [1.0, 7.0, 2.0]])
    shares = values / 10
    noise = sum(shares[:, s].var(ddof=1) / 3 for s in range(3))
    distance = sum((shares[:, s].mean() - TOKENS[s]) ** 2 for s in range(3))
    expected = max(UNCALIBRATED_FLOOR, noise / distance)
    assert token_weight(values, TOKENS) == pytest.approx(expected)


def test_one_replicate_hides_its_noise_and_nothing_that_helped_is_all_token_count() -> None:
    assert token_weight(np.array([[1.0, 8.0, 1.0]]), TOKENS) == SINGLE_REPLICATE
    assert token_weight(np.array([[-1.0, -2.0, -1.0]] * 2), TOKENS) == 1.0


def test_shrinking_keeps_the_extremes() -> None:
    values = np.array([6.0, -1.0, 4.0])
    np.testing.assert_array_equal(shrink(values, TOKENS, 0.0), values)
    np.testing.assert_allclose(shrink(values, TOKENS, 1.0), 10 * TOKENS)
    stack = np.stack([values, 2 * values])
    np.testing.assert_allclose(shrink(stack, TOKENS, 0.3)[1], 2 * shrink(values, TOKENS, 0.3))
