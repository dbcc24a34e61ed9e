"""The choice of the next training, against the posterior that follows it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.valuation.test_posterior import drawn
from tribute.valuation.choice import Chooser, Payees
from tribute.valuation.posterior import Posterior, expected_misallocation, posterior
from tribute.valuation.terms import LeftOut, Trainings, set_matrix


def found(seed: int = 1, trainings: int = 14) -> Posterior:
    estimates, share_S, known, _ = drawn(seed, 8, trainings)
    return posterior(estimates, share_S, known)


def variance_of_shares(given: Posterior, particle: int, extra: list[LeftOut]) -> float:
    """Sum of the standard deviations of linearised shares, by dense algebra."""
    terms, known, variance_I = given.terms, given.trainings, given.variance_HI[particle]
    removed_KS = np.vstack([known.removed_KS, set_matrix([each.removed for each in extra], 8)])
    seed_K = np.concatenate([known.seed_K, [each.seed for each in extra]]).astype(int)
    features = len(terms.mean_J)
    prior_SS = terms.feature_SJ @ np.diag(variance_I[:features]) @ terms.feature_SJ.T
    prior_SS += variance_I[features] * np.diag(terms.size_S)
    loss_KK = np.tensordot(variance_I, terms.covariances(removed_KS, seed_K), 1)
    loss_KK += np.diag([*given.stray_HK[particle], *[0.0] * len(extra)])
    left_SS = prior_SS - prior_SS @ removed_KS.T @ np.linalg.solve(loss_KK, removed_KS @ prior_SS)
    value_S, slope_PS = given.mean_S / given.scale_H[particle], np.zeros((8, 8))
    for column in range(8):
        step_S = 1e-6 * np.eye(8)[column]
        above_S, below_S = (np.clip(value_S + sign * step_S, 0, None) for sign in (1, -1))
        slope_PS[:, column] = (above_S / above_S.sum() - below_S / below_S.sum()) / 2e-6
    return float(np.sqrt(np.diag(slope_PS @ left_SS @ slope_PS.T)).sum())


def test_gains_are_those_of_dense_algebra_also_after_a_pick() -> None:
    given = found()
    one = replace(given, variance_HI=given.variance_HI[:1], scale_H=given.scale_H[:1])
    chooser = Chooser(one, [0, 1, 2], np.random.default_rng(0))
    picked: list[LeftOut] = []
    for _ in range(3):
        before = variance_of_shares(one, 0, picked)
        gain_C = [
            0.0 if each in picked else before - variance_of_shares(one, 0, [*picked, each])
            for each in chooser.candidates
        ]
        np.testing.assert_allclose(chooser.gains(), gain_C, atol=1e-4 * max(gain_C))
        if (pick := chooser.pick()) is not None:
            picked.append(pick.training)
        assert pick is not None and pick.training == chooser.candidates[int(np.argmax(gain_C))]


def test_the_expected_misallocation_falls_with_every_pick() -> None:
    chooser = Chooser(found(), [0, 1, 2], np.random.default_rng(0))
    expected = []
    for _ in range(10):
        expected.append(chooser.expected())
        chooser.pick()
    assert (np.diff(expected) < 0).all()


def test_known_trainings_are_not_candidates() -> None:
    given = found()
    done = {
        (tuple(np.flatnonzero(row)), seed)
        for row, seed in zip(given.trainings.removed_KS, given.trainings.seed_K, strict=True)
    }
    candidates = Chooser(given, [0, 1, 2], np.random.default_rng(0)).candidates
    assert not done & set(candidates)
    assert len(candidates) == len(set(candidates))
    left = Chooser(given, [0, 1, 2], np.random.default_rng(0), diverged=candidates[:5]).candidates
    assert left == candidates[5:], "what diverged diverges again"


def test_a_payee_whose_money_counts_is_measured_first() -> None:
    rng = np.random.default_rng(0)
    given = posterior({"simulated": np.ones((1, 8))}, np.ones(8), Trainings.none(8))
    weight_P = np.zeros(8)
    weight_P[5] = 1
    first = Chooser(given, [0], rng, Payees(np.eye(8), weight_P)).pick()
    assert first is not None and 5 in first.training.removed


def test_a_training_under_a_new_seed_costs_its_full_training_too() -> None:
    given = found(trainings=40)
    free = Chooser(given, [0, 1, 2, 3], np.random.default_rng(0))
    priced = Chooser(given, [0, 1, 2, 3], np.random.default_rng(0), new_seeds=[3])
    new = np.array([each.seed == 3 for each in free.candidates])
    np.testing.assert_allclose(priced.gains()[new], free.gains()[new] / 2)
    np.testing.assert_allclose(priced.gains()[~new], free.gains()[~new])
    alone = Chooser(given, [3], np.random.default_rng(0), new_seeds=[3])
    assert alone.pick(most=1) is None
    assert [each.cost for _ in range(2) if (each := alone.pick(most=2))] == [2, 1]


@pytest.mark.parametrize(("sources", "candidates"), [(1, 0), (2, 2), (3, 6)])
def test_few_sources_are_left_out_until_there_is_nothing_more_to_tell(sources: int, candidates: int) -> None:
    given = posterior({"simulated": np.ones((1, sources))}, np.ones(sources), Trainings.none(sources))
    chooser = Chooser(given, [0], np.random.default_rng(0))
    assert len(chooser.candidates) == candidates
    picked = []
    while (each := chooser.pick()) is not None:
        picked.append(each.training)
    assert len(picked) == len(set(picked)) <= candidates
    assert all(len(each.removed) < sources for each in picked)


@pytest.mark.parametrize("estimate", [[-3.0, -1, -2], [3, -1, -2]])
def test_harm_that_may_be_help_is_worth_a_training(estimate: list[float]) -> None:
    """Shares do not change at the mean values: nobody, or one payee alone, is above zero."""
    given = posterior({"simulated": [estimate]}, np.ones(3), Trainings.none(3))
    assert (given.mean_S > 0).sum() <= 1
    chooser = Chooser(given, [0], np.random.default_rng(0))
    assert chooser.expected() == pytest.approx(expected_misallocation(given.draws_NS, given.mean_S))
    before = chooser.expected()
    assert chooser.pick() is not None and 0.1 < chooser.expected() < before


def test_a_payee_who_may_be_worth_nothing_is_measured_if_asked_for() -> None:
    given = posterior({"simulated": [[3.0, 4, 5, -1]]}, np.ones(4), Trainings.none(4))
    assert given.mean_S[3] < 0
    picked = Chooser(given, [0], np.random.default_rng(0), Payees(np.eye(4), np.eye(4)[3])).pick()
    assert picked is not None and 3 in picked.training.removed


def test_without_a_seed_nothing_can_be_trained() -> None:
    assert Chooser(found(), [], np.random.default_rng(0)).pick() is None
