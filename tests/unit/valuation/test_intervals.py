"""Bootstrap intervals against the known spread of simulated periods."""

import numpy as np

from tribute.valuation.intervals import interval, resampled_totals


def test_the_spread_over_queries_is_that_of_independent_groups() -> None:
    rng = np.random.default_rng(0)
    nats_RGS = rng.normal(1.0, 0.5, size=(1, 128, 1))
    totals = resampled_totals(nats_RGS, 4000, seed=1)[:, 0]
    assert abs(totals.mean() - nats_RGS.sum()) < 0.5
    assert abs(totals.std() / (0.5 * np.sqrt(128)) - 1) < 0.15


def test_the_spread_over_replicates_is_the_standard_error_of_their_mean() -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(300):
        level_R = rng.normal(0.0, 1.0, size=3)
        nats_RGS = np.repeat(level_R[:, None, None] / 128, 128, axis=1)
        ratios.append(resampled_totals(nats_RGS, 200, seed=2)[:, 0].var())
    assert abs(np.mean(ratios) - 1 / 3) < 0.05


def test_intervals_cover_the_expected_total_of_simulated_periods() -> None:
    """128 groups and 8 replicates: the nominal 95% is met within what so few replicates allow."""
    rng, covered = np.random.default_rng(3), 0
    for period in range(400):
        replicate_R = rng.normal(10.0, 2.0, size=8)
        query_G = rng.normal(0.0, 3.0, size=128)
        nats_RGS = (replicate_R[:, None] / 128 + query_G / 128)[:, :, None]
        low, high = interval(resampled_totals(nats_RGS, 400, seed=period))
        covered += bool(low[0] <= 10.0 <= high[0])
    assert 0.88 <= covered / 400 <= 0.97


def test_the_same_seed_gives_the_same_interval() -> None:
    nats_RGS = np.random.default_rng(0).normal(size=(3, 16, 2))
    first, again = (resampled_totals(nats_RGS, 100, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, again)
