"""Percentile intervals of draws, and of the shares that they come to."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tribute.valuation.intervals import interval, share_interval
from tribute.valuation.posterior import shares

SEEDS = st.integers(0, 10**6)


def test_an_interval_holds_the_middle_nineteen_twentieths_of_the_draws() -> None:
    draws_NS = np.linspace([0.0, -5.0], [1.0, 5.0], 2001)
    low_S, high_S = interval(draws_NS)
    np.testing.assert_allclose(low_S, [0.025, -4.75])
    np.testing.assert_allclose(high_S, [0.975, 4.75])


def draws(seed: int, payees: int) -> np.ndarray:
    """Correlated values, some of them below zero."""
    rng = np.random.default_rng(seed)
    mix_PP = rng.normal(size=(payees, payees))
    return np.asarray(rng.normal(0.5, 1, payees) + rng.normal(size=(401, payees)) @ mix_PP)


@given(SEEDS, st.integers(1, 8))
def test_an_interval_of_shares_holds_nineteen_twentieths_of_the_draws_shares(seed: int, payees: int) -> None:
    draws_NP, fallback_P = draws(seed, payees), np.full(payees, 1 / payees)
    low_P, high_P = share_interval(draws_NP, fallback_P)
    share_NP = shares(draws_NP, fallback_P)
    held_P = ((low_P <= share_NP) & (share_NP <= high_P)).mean(0)
    assert (held_P >= 0.95 - 1 / 401).all()
    strictly_P = ((low_P < share_NP) & (share_NP < high_P)).mean(0)
    assert (strictly_P <= 0.95 + 1 / 401).all()
    assert (low_P >= 0).all() and (high_P <= 1).all()


@given(SEEDS)
def test_the_shares_of_two_payees_mirror_each_other(seed: int) -> None:
    (low, other_low), (high, other_high) = share_interval(draws(seed, 2), np.array([0.5, 0.5]))
    np.testing.assert_allclose([low, high], [1 - other_high, 1 - other_low], atol=1e-12)


@given(SEEDS)
def test_a_sole_payee_is_sure_of_everything(seed: int) -> None:
    assert share_interval(draws(seed, 1), np.array([1.0])) == (1.0, 1.0)


def test_values_that_rise_together_leave_shares_as_they_are() -> None:
    """Between 1 : 3 and 10 : 30 nats, the shares are 1/4 and 3/4, however wide the intervals of the values are."""
    draws_NP = np.linspace(1, 10, 50)[:, None] * np.array([1.0, 3.0])
    np.testing.assert_allclose(share_interval(draws_NP, np.array([0.5, 0.5])), [[0.25, 0.75]] * 2)


def test_a_draw_without_a_value_above_zero_pays_the_fallback() -> None:
    low_P, high_P = share_interval(np.zeros((100, 2)), np.array([0.2, 0.8]))
    np.testing.assert_array_equal([low_P, high_P], [[0.2, 0.8]] * 2)
