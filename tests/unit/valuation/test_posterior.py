"""The posterior against dense algebra, against its own prior, and on worlds with a known answer."""

import numpy as np
import pytest

from tribute.valuation import posterior as module
from tribute.valuation.posterior import expected_misallocation, posterior, shares
from tribute.valuation.terms import RANGES, Terms, Trainings

SOURCES = 6


SEEDS = (0, 1, 2)


def drawn(seed: int, sources: int = 12, trainings: int = 16) -> tuple[dict, np.ndarray, Trainings, np.ndarray]:
    """Estimates, token shares, trainings and true values, drawn from the prior."""
    rng = np.random.default_rng([11, seed])
    share_S, estimate_RS = rng.dirichlet(np.full(sources, 2.0)), rng.normal(1, 1, sources)
    estimate_RS = estimate_RS + 0.3 * rng.standard_normal((3, sources))
    terms = Terms.of({"simulated": estimate_RS}, share_S, SEEDS)
    [variance_I] = terms.variances(rng.random((1, terms.terms)))
    removed_KS = (rng.random((trainings, sources)) < 0.2).astype(float)
    removed_KS[:sources] = np.eye(sources)
    removed_KS = removed_KS[removed_KS.any(1)]
    seed_K = np.arange(len(removed_KS)) % 3
    value_S = terms.feature_SJ @ (terms.mean_J + np.sqrt(variance_I[:2]) * rng.standard_normal(2))
    value_S += np.sqrt(variance_I[2] * terms.size_S) * rng.standard_normal(sources)
    noise_KK = np.tensordot(variance_I[3:], terms.covariances(removed_KS, seed_K)[3:], 1)
    noise_KK += np.diag(terms.stray(rng.random((1, len(seed_K))), variance_I[None])[0])
    lost_K = removed_KS @ value_S + np.linalg.cholesky(noise_KK) @ rng.standard_normal(len(removed_KS))
    return {"simulated": estimate_RS}, share_S, Trainings(removed_KS, seed_K, lost_K), value_S


def ranks(worlds: range) -> np.ndarray:
    """Where the true values stand among the draws, 0 to 1."""
    found = []
    for world in worlds:
        estimates, share_S, trainings, value_S = drawn(world)
        draws_NS = posterior(estimates, share_S, trainings, seeds=SEEDS, seed=world).draws_NS
        found.append((draws_NS < value_S).mean(0))
    return np.concatenate(found)


@pytest.mark.parametrize("worlds", [range(12), pytest.param(range(12, 400), marks=pytest.mark.slow)])
def test_ranks_of_true_values_among_the_draws_are_uniform(worlds: range) -> None:
    """Simulation-based calibration: worlds are drawn from the prior (Talts et al., arXiv 1804.06788)."""
    rank_X = np.sort(ranks(worlds))
    distance = np.abs(rank_X - (np.arange(len(rank_X)) + 0.5) / len(rank_X)).max()
    assert distance < 2.0 / np.sqrt(len(worlds))  # values of one world depend on each other


def test_only_the_estimate_paid_by_counts_before_trainings_speak() -> None:
    rng = np.random.default_rng(0)
    main_RS = rng.normal(1, 1, SOURCES) + 0.3 * rng.standard_normal((3, SOURCES))
    further, tokens_S = {"estimate 0": rng.random((1, SOURCES))}, rng.random(SOURCES)
    terms = Terms.of(further | {"simulated": main_RS}, tokens_S, SEEDS)
    alone = Terms.of({"simulated": main_RS}, tokens_S, SEEDS)
    np.testing.assert_allclose(terms.mean_J, [alone.mean_J[0], 0, alone.mean_J[1]])
    np.testing.assert_allclose(terms.seed_S, alone.seed_S)
    np.testing.assert_allclose(terms.doubt_S, alone.doubt_S)
    silent = Terms.of(further | {"simulated": 0 * main_RS}, tokens_S, SEEDS)
    np.testing.assert_allclose(silent.mean_J, [1, 0])


def test_trainings_are_heard_where_replicates_cancel() -> None:
    value_S = np.array([1.0, 2.0, 1.0, -1.0, 3.0, 2.0])
    spread_S = 5 * np.ones(SOURCES)
    estimate_RS = np.stack([spread_S + 1e-3, -spread_S, 0 * spread_S])
    removed_KS = np.vstack([np.eye(SOURCES)] * 3)
    known = Trainings(removed_KS, np.repeat(SEEDS, SOURCES), removed_KS @ value_S)
    found = posterior({"simulated": estimate_RS}, np.ones(SOURCES), known, seeds=SEEDS)
    assert np.abs(shares(found.mean_S) - shares(value_S)).sum() / 2 < 0.05
    terms = Terms.of({"simulated": estimate_RS}, np.ones(SOURCES), SEEDS)
    assert terms.mean_J[1] == 0  # all of the mean is noise


def test_replicates_that_are_alike_count_as_one() -> None:
    rng, tokens_S = np.random.default_rng(1), np.ones(SOURCES)
    row_1S = rng.random((1, SOURCES))
    one, three = (Terms.of({"nearest": np.repeat(row_1S, n, 0)}, tokens_S, SEEDS) for n in (1, 3))
    for name in ("feature_SJ", "mean_J", "doubt_S", "seed_S"):
        np.testing.assert_allclose(getattr(one, name), getattr(three, name))


def test_covariances_are_those_of_the_model_term_by_term() -> None:
    rng = np.random.default_rng(0)
    removed_KS = (rng.random((9, SOURCES)) < 0.5).astype(float)
    seed_K = np.array([0, 0, 1, 1, 1, 2, 2, 7, 7])
    estimate_RS = rng.normal(1, 1, SOURCES) + 0.3 * rng.standard_normal((3, SOURCES))
    terms = Terms.of({"simulated": estimate_RS}, rng.random(SOURCES), SEEDS)
    size_S, doubt_S, seed_S = terms.size_S, terms.doubt_S, terms.seed_S
    rms = np.sqrt(np.square(estimate_RS.mean(0)).mean())
    reliable = 1 - (estimate_RS / rms).var(0, ddof=1).mean() / 3
    np.testing.assert_allclose(terms.mean_J, [1 - 0.8 * reliable, 0.8 * reliable])
    np.testing.assert_allclose(doubt_S, reliable * seed_S / 3)
    found_IKK = terms.covariances(removed_KS, seed_K)
    assert len(found_IKK) == terms.terms == 2 + len(RANGES)
    for k, one in enumerate(removed_KS):
        for other, two in enumerate(removed_KS):
            both, alike = [s for s in range(SOURCES) if one[s] and two[s]], seed_K[k] == seed_K[other]
            own = sum(size_S[s] for s in both)
            pairs = sum(size_S[s] * size_S[t] for s in both for t in both if s < t)
            square_one, square_two = (
                sum(
                    size_S[s] * size_S[t]
                    for s in range(SOURCES)
                    for t in range(SOURCES)
                    if s != t and z[s] and z[t]
                )
                for z in (one, two)
            )
            apart_one, apart_two = (
                sum(z[s] * (estimate_RS[seed, s] - reliable * estimate_RS[:, s].mean()) for s in range(SOURCES))
                / rms
                if seed < 3
                else 0.0
                for z, seed in ((one, seed_K[k]), (two, seed_K[other]))
            )
            unknown = sum(doubt_S[s] for s in both) if max(seed_K[k], seed_K[other]) < 3 else 0.0
            wanted = [
                *[(one @ column) * (two @ column) for column in terms.feature_SJ.T],
                own,
                sum(seed_S[s] for s in both) * alike,
                float(k == other) + float(alike),
                square_one * square_two,
                pairs,
                apart_one * apart_two + unknown,
            ]
            np.testing.assert_allclose(found_IKK[:, k, other], wanted, atol=1e-12)


def test_a_training_that_half_diverged_moves_no_source_far() -> None:
    rng = np.random.default_rng(4)
    value_S = rng.uniform(0.5, 2, SOURCES)
    estimate_RS = value_S + 0.1 * rng.standard_normal((3, SOURCES))
    removed_KS = np.vstack([np.eye(SOURCES), np.eye(SOURCES), np.eye(SOURCES)])
    seed_K = np.repeat(SEEDS, SOURCES)
    lost_K = removed_KS @ value_S + 0.05 * rng.standard_normal(len(seed_K))
    wild_K = lost_K + 60 * (np.arange(len(seed_K)) == 4)
    known, strayed = (
        posterior({"simulated": estimate_RS}, np.ones(SOURCES), Trainings(removed_KS, seed_K, each_K), seeds=SEEDS)
        for each_K in (lost_K, wild_K)
    )
    assert np.abs(shares(known.mean_S) - shares(value_S)).sum() / 2 < 0.03
    assert np.abs(shares(strayed.mean_S) - shares(value_S)).sum() / 2 < 0.05
    assert strayed.stray_HK.mean(0).argmax() == 4


def test_what_a_training_strays_by_is_a_multiple_of_the_noise() -> None:
    terms = Terms.of({}, np.ones(SOURCES), ())
    variance_HI = np.full((1, terms.terms), 4.0)
    found_HK = terms.stray(np.array([[0.0, 0.95, 0.975, 1.0]]), variance_HI)
    np.testing.assert_allclose(found_HK, [[0, 0, 4 * (90 - 1), 4 * (900 - 1)]])


def test_conditioning_equals_dense_algebra() -> None:
    estimates, share_S, trainings, _ = drawn(3, SOURCES, 8)
    rng, terms = np.random.default_rng(1), Terms.of(estimates, share_S, SEEDS)
    column_SJ, size_S = terms.feature_SJ, terms.size_S
    variance_I, scale = rng.random(terms.terms) + 0.1, module.SCALES[45]
    stray_K = rng.random(len(trainings.lost_K))
    weight_1U = np.isclose(module.SCALES, scale)[None].astype(float)
    particle = module._Particles(variance_I[None], stray_K[None], weight_1U)
    mean_S, draws_NS, gamma_J, scale_1 = module._conditioned(terms, trainings, particle, 1.0, 40_000, rng)
    prior_SS = column_SJ @ np.diag(variance_I[:2]) @ column_SJ.T + variance_I[2] * np.diag(size_S)
    removed_KS = trainings.removed_KS
    loss_KK = np.tensordot(variance_I, terms.covariances(removed_KS, trainings.seed_K), 1) + np.diag(stray_K)
    gain_SK = prior_SS @ removed_KS.T @ np.linalg.inv(loss_KK)
    prior_S = column_SJ @ terms.mean_J
    wanted_S = scale * (prior_S + gain_SK @ (trainings.lost_K / scale - removed_KS @ prior_S))
    left_SS = scale**2 * (prior_SS - gain_SK @ removed_KS @ prior_SS)
    np.testing.assert_allclose(mean_S, wanted_S, atol=1e-10)
    np.testing.assert_allclose(draws_NS.mean(0), wanted_S, atol=0.05 * scale)
    np.testing.assert_allclose(np.cov(draws_NS.T), left_SS, atol=0.05 * scale**2)
    assert scale_1[0] == pytest.approx(scale) and len(gamma_J) == 2


def test_values_do_not_depend_on_units() -> None:
    """Losses in other units scale the values, an estimate's own unit changes nothing."""
    estimates, share_S, trainings, _ = drawn(5)
    one = posterior(estimates, share_S, trainings)
    other = posterior(
        {"simulated": 1e6 * estimates["simulated"]},
        77 * share_S,
        trainings._replace(lost_K=1e-3 * trainings.lost_K),
    )
    np.testing.assert_allclose(other.mean_S, 1e-3 * one.mean_S, rtol=1e-6)
    np.testing.assert_allclose(other.draws_NS, 1e-3 * one.draws_NS, rtol=1e-6, atol=1e-9)


def test_many_trainings_overrule_a_wrong_estimate() -> None:
    rng = np.random.default_rng(2)
    value_S = np.array([5.0, 4, 3, 2, 1, -3, 0.5, 1])
    removed_KS = np.tile(np.eye(8), (4, 1))
    trainings = Trainings(
        removed_KS, np.repeat(np.arange(4), 8), removed_KS @ value_S + 0.05 * rng.normal(size=32)
    )
    found = posterior({"simulated": -value_S[None]}, np.ones(8), trainings)
    np.testing.assert_allclose(found.mean_S, value_S, atol=0.3)
    assert found.mean_S[5] < 0
    assert expected_misallocation(found.draws_NS, found.mean_S) < 0.05


def test_a_source_that_hurts_more_than_the_others_help_stays_measured() -> None:
    """Losses that sum to less than nothing are measurements, too."""
    estimate_S = np.array([3.0, 4, 5, 4, 3, 2, 4, 5, 3, -20])
    removed_KS = np.eye(10)[[9, 9, 9, 0, 1, 2]]
    trainings = Trainings(removed_KS, np.array([0, 1, 2, 0, 1, 2]), np.array([-61.0, -58, -63, 7, 9, 12]))
    found = posterior({"simulated": estimate_S[None]}, np.ones(10), trainings)
    assert found.mean_S[9] < -50
    assert found.mean_S[:9].min() > 0
    assert shares(found.mean_S)[9] == 0


def test_without_trainings_values_are_the_estimates_and_wide() -> None:
    estimate_S = np.array([1.0, 2, 3, 4])
    found = posterior({"simulated": estimate_S[None]}, np.ones(4), Trainings.none(4))
    assert (np.diff(found.mean_S) > 0).all()
    assert 0.1 < expected_misallocation(found.draws_NS, found.mean_S) < 0.5


def test_a_noisy_estimate_is_not_believed_because_trainings_of_its_own_seeds_agree() -> None:
    """Estimates and trainings of a seed have the same noise; the truth goes by tokens."""
    rng, wrong, agreed = np.random.default_rng(4), [], []
    for _ in range(6):
        share_S = rng.dirichlet(np.full(10, 2.0))
        value_S = 100 * share_S
        noise_RS = 12 * rng.standard_normal((3, 10))
        removed_KS, seed_K = np.tile(np.eye(10), (2, 1)), np.arange(20) % 3
        trainings = Trainings(
            removed_KS, seed_K, value_S[np.arange(20) % 10] + noise_RS[seed_K, np.arange(20) % 10]
        )
        found = posterior({"simulated": value_S / 3 + noise_RS}, share_S, trainings, seeds=SEEDS)
        unaware = posterior({"simulated": value_S / 3 + noise_RS}, share_S, trainings)
        wrong.append(np.abs(shares(found.mean_S) - share_S).sum() / 2)
        agreed.append(np.abs(shares(unaware.mean_S) - share_S).sum() / 2)
    assert np.mean(wrong) < 0.8 * np.mean(agreed)


def test_a_failed_replicate_is_filled_in() -> None:
    estimate_RS = np.array([[1.0, 2, 3, 4], [1, 2, np.nan, 4]])
    found = posterior({"simulated": estimate_RS}, np.ones(4), Trainings.none(4))
    assert np.isfinite(found.draws_NS).all()


@pytest.mark.parametrize(
    ("removed", "lost", "words"),
    [(np.ones((1, 3)), [1.0], "all need the same sources"), (np.ones((1, 4)), [np.nan], "leave out trainings")],
)
def test_what_does_not_fit_is_refused(removed: np.ndarray, lost: list[float], words: str) -> None:
    trainings = Trainings(removed, np.zeros(1, dtype=int), np.array(lost))
    with pytest.raises(ValueError, match=words):
        posterior({"simulated": np.ones((1, 4))}, np.ones(4), trainings)


def test_the_expected_misallocation_is_that_of_the_draws_by_payee() -> None:
    draws_NS = np.array([[1.0, 1, 2], [2, -5, 2]])
    assert expected_misallocation(draws_NS, np.array([1.0, 1, 2])) == pytest.approx((0 + 0.25) / 2)
    payee_SP = np.array([[1.0, 0], [1, 0], [0, 1]])
    assert expected_misallocation(draws_NS, np.array([1.0, 1, 2]), payee_SP) == pytest.approx((0 + 0.5) / 2)


def test_where_nothing_is_worth_anything_the_fallback_is_paid_and_expected() -> None:
    draws_NS, harm_S, by_tokens = np.array([[-1.0, -2], [1, -1]]), np.array([-1.0, -1]), np.array([0.75, 0.25])
    assert expected_misallocation(draws_NS, harm_S, fallback_P=by_tokens) == pytest.approx((0 + 0.25) / 2)
