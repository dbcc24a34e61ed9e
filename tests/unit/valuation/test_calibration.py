"""Spot calibration in worlds where the right answer is known.

Legend: S sources, N retrained sources, R replicates.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from tribute.valuation.calibration import Calibration, calibrate, spot_sources
from tribute.valuation.intervals import CONFIDENCE

Array = NDArray[np.float64]
SOURCES, REPLICATES = 20, 3


def world(seed: int, own: float = 4.0, noise: float = 5.0) -> tuple[Array, Array, Array, Array]:
    """Tokens [S], expected values [S], retrained truths [R, S], estimates [R, S]; errors as the root of size."""
    rng = np.random.default_rng(seed)
    tokens_S = rng.lognormal(5, 1, SOURCES)
    spread_S = np.sqrt(tokens_S / tokens_S.mean())
    expected_S = 50 * spread_S**2 + own * spread_S * rng.normal(size=SOURCES)
    truth_RS = expected_S + noise * spread_S * rng.normal(size=(REPLICATES, SOURCES))
    estimate_RS = 0.2 * expected_S + spread_S * (
        3 * rng.normal(size=SOURCES) + 3 * rng.normal(size=truth_RS.shape)
    )
    return tokens_S, expected_S, truth_RS, estimate_RS


def calibrated(seed: int, count: int = 4) -> tuple[Calibration, Array]:
    tokens_S, expected_S, truth_RS, estimate_RS = world(seed)
    spots = spot_sources(tokens_S, count, seed)
    return calibrate({"paired": estimate_RS}, tokens_S, spots, truth_RS[:, spots]), expected_S


def repeated(value_S: Array) -> Array:
    return np.tile(value_S, (REPLICATES, 1))


def misallocated(paid_S: Array, owed_S: Array) -> float:
    paid_S, owed_S = np.clip(paid_S, 0, None), np.clip(owed_S, 0, None)
    return float(np.abs(paid_S / paid_S.sum() - owed_S / owed_S.sum()).sum() / 2)


@pytest.mark.parametrize("count", [4, 8])
def test_intervals_cover_the_expectation_with_size_dependent_noise(count: int) -> None:
    inside = []
    for seed in range(250):
        calibration, expected_S = calibrated(seed, count)
        low_S, high_S = calibration.interval()
        inside.append((low_S <= expected_S) & (expected_S <= high_S))
    assert 0.93 <= np.mean(inside) <= 0.97


def test_calibrated_values_are_nearer_the_truth_than_their_ingredients() -> None:
    errors = []
    for seed in range(60):
        calibration, expected_S = calibrated(seed, 6)
        tokens_S, _, _, estimate_RS = world(seed)
        values = (calibration.value_S, tokens_S, estimate_RS.mean(0))
        errors.append([misallocated(value_S, expected_S) for value_S in values])
    own, tokens, estimate = np.mean(errors, 0)
    assert own < 0.95 * tokens
    assert own < 0.5 * estimate


def test_an_exact_linear_relation_is_recovered() -> None:
    """Estimates in other units and unlike the tokens: enough retrained sources overrule the prior mix."""
    rng = np.random.default_rng(0)
    tokens_S, expected_S = rng.lognormal(5, 1, SOURCES), rng.lognormal(3, 1, SOURCES)
    spots = list(range(SOURCES - 1))
    truth_RN = repeated(expected_S[spots])
    calibration = calibrate({"exact": 0.2 * repeated(expected_S)}, tokens_S, spots, truth_RN)
    np.testing.assert_allclose(calibration.value_S[spots], expected_S[spots], rtol=1e-6)
    assert calibration.token_weight < 0.5
    left_out = len(spots)
    by_tokens = tokens_S[left_out] / tokens_S[spots].sum() * expected_S[spots].sum()
    error = abs(calibration.value_S[left_out] - expected_S[left_out])
    assert error < 0.6 * abs(by_tokens - expected_S[left_out])


def test_truths_in_proportion_to_tokens_put_all_the_weight_on_tokens() -> None:
    tokens_S, _, _, estimate_RS = world(1)
    spots = spot_sources(tokens_S, 4, 1)
    calibration = calibrate({"paired": estimate_RS}, tokens_S, spots, repeated(0.3 * tokens_S[spots]))
    np.testing.assert_allclose(calibration.value_S, 0.3 * tokens_S, rtol=1e-6)
    assert calibration.token_weight == pytest.approx(1, abs=1e-9)
    assert all(error < 1e-9 for name, error in calibration.cv_error.items() if name.startswith("tokens"))


def test_an_exact_estimate_takes_over_from_tokens_that_say_nothing_like_it() -> None:
    rng = np.random.default_rng(3)
    tokens_S, expected_S = rng.lognormal(5, 1, SOURCES), rng.lognormal(3, 1, SOURCES)
    spots = spot_sources(tokens_S, 4, 3)
    truth_RN = repeated(expected_S[spots])
    calibration = calibrate({"exact": 0.2 * repeated(expected_S)}, tokens_S, spots, truth_RN)
    np.testing.assert_allclose(calibration.value_S, expected_S, rtol=1e-6)
    assert calibration.token_weight == pytest.approx(0, abs=1e-6)


def test_useless_token_counts_are_mended_by_a_good_estimate() -> None:
    paid = []
    for seed in range(20):
        tokens_S, expected_S, truth_RS, _ = world(seed)
        counts_S = np.random.default_rng(seed).permutation(tokens_S)
        spots = spot_sources(counts_S, 8, seed)
        good_RS = 0.2 * repeated(expected_S)
        calibration = calibrate({"good": good_RS}, counts_S, spots, truth_RS[:, spots])
        paid.append([misallocated(value_S, expected_S) for value_S in (calibration.value_S, counts_S)])
    mended, useless = np.mean(paid, 0)
    assert mended < 0.6 * useless


def test_permuting_the_sources_permutes_the_values() -> None:
    tokens_S, _, truth_RS, estimate_RS = world(2)
    spots = [3, 7, 11, 19]
    order = np.random.default_rng(0).permutation(SOURCES)
    place = np.argsort(order)
    plain = calibrate({"a": estimate_RS}, tokens_S, spots, truth_RS[:, spots])
    moved_spots = [int(place[spot]) for spot in spots]
    moved = calibrate({"a": estimate_RS[:, order]}, tokens_S[order], moved_spots, truth_RS[:, spots])
    np.testing.assert_allclose(moved.value_S, plain.value_S[order], rtol=1e-9)
    np.testing.assert_allclose(moved.std_error_S, plain.std_error_S[order], rtol=1e-6)


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_truths_are_refused(count: int) -> None:
    tokens_S, _, truth_RS, estimate_RS = world(4)
    with pytest.raises(ValueError, match="needs 3 retrained sources"):
        calibrate({"paired": estimate_RS}, tokens_S, list(range(count)), truth_RS[:, :count])


def test_failed_replicates_are_left_out_of_the_means() -> None:
    tokens_S, _, truth_RS, estimate_RS = world(5)
    spots = [0, 4, 8, 12, 16]
    estimate_RS[2, 9], truth_RS[0, 4], truth_RS[:, 16] = np.nan, np.nan, np.nan
    got = calibrate({"a": estimate_RS}, tokens_S, spots, truth_RS[:, spots])
    filled_RS = estimate_RS.copy()
    filled_RS[2, 9] = estimate_RS[:2, 9].mean()
    same = calibrate({"a": filled_RS}, tokens_S, spots[:-1], truth_RS[:, spots[:-1]])
    np.testing.assert_allclose(got.value_S, same.value_S, rtol=1e-12)
    assert np.isfinite(got.std_error_S).all()


def test_an_estimate_that_failed_for_one_source_takes_its_token_share() -> None:
    tokens_S, _, truth_RS, _ = world(5)
    exact_RS = repeated(0.2 * tokens_S)
    hole_RS = exact_RS.copy()
    hole_RS[:, 7] = np.nan
    spots = [0, 4, 8, 12]
    whole, holed = (calibrate({"a": one}, tokens_S, spots, truth_RS[:, spots]) for one in (exact_RS, hole_RS))
    np.testing.assert_allclose(holed.value_S, whole.value_S, rtol=1e-9)


def test_one_seed_a_source_still_gives_intervals() -> None:
    tokens_S, _, truth_RS, estimate_RS = world(6)
    spots = spot_sources(tokens_S, 9, 0)
    truth_RN = truth_RS[:, spots]
    truth_RN[np.arange(3)[:, None] != np.arange(9) % 3] = np.nan
    calibration = calibrate({"a": estimate_RS}, tokens_S, spots, truth_RN)
    assert (calibration.std_error_S > 0).all()


def test_draws_have_the_margins_of_the_intervals_and_shared_errors() -> None:
    calibration, _ = calibrated(7)
    draws_DS = calibration.draws(20000, seed=1)
    low_S, high_S = calibration.interval()
    inside_S = ((low_S <= draws_DS) & (draws_DS <= high_S)).mean(0)
    np.testing.assert_allclose(inside_S, CONFIDENCE, atol=0.01)
    independent = np.sqrt(np.square(calibration.std_error_S).sum())
    shared = np.sqrt(
        independent**2 - np.square(calibration.shared_SM).sum() + np.square(calibration.shared_SM.sum(0)).sum()
    )
    half = np.diff(np.quantile(draws_DS.sum(1), [0.25, 0.75]))[0] / 2
    median_S = np.diff(np.quantile(draws_DS, [0.25, 0.75], axis=0), axis=0)[0] / 2
    assert half == pytest.approx(shared * (median_S / calibration.std_error_S).mean(), rel=0.05)
    assert shared > 1.1 * independent
    np.testing.assert_array_equal(draws_DS, calibration.draws(20000, seed=1))


def test_chances_of_being_retrained_grow_with_tokens() -> None:
    tokens_S = np.array([1.0, 2.0, 3.0, 4.0, 90.0])
    drawn_S = np.zeros(5)
    for seed in range(2000):
        spots = spot_sources(tokens_S, 2, seed)
        assert len(set(spots)) == 2
        drawn_S[spots] += 1
    np.testing.assert_allclose(drawn_S / 2000, [0.1, 0.2, 0.3, 0.4, 1.0], atol=0.04)


def test_more_spots_than_sources_with_tokens_draws_each_once() -> None:
    assert spot_sources(np.array([5.0, 0.0, 1.0]), 7, 0) == [0, 2]
    assert spot_sources(np.array([5.0, 1.0]), 0, 0) == []


@pytest.mark.parametrize("names", [[], ["a"]])
def test_missing_estimates_and_truths_are_refused(names: list[str]) -> None:
    tokens_S, _, truth_RS, estimate_RS = world(8)
    with pytest.raises(ValueError, match="calibration"):
        calibrate(dict.fromkeys(names, estimate_RS), tokens_S, [0, 1, 2], truth_RS[:, : 3 - len(names)])
