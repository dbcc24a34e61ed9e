"""Percentile intervals of draws."""

import numpy as np

from tribute.valuation.intervals import interval


def test_an_interval_holds_the_middle_nineteen_twentieths_of_the_draws() -> None:
    draws_NS = np.linspace([0.0, -5.0], [1.0, 5.0], 2001)
    low_S, high_S = interval(draws_NS)
    np.testing.assert_allclose(low_S, [0.025, -4.75])
    np.testing.assert_allclose(high_S, [0.975, 4.75])
