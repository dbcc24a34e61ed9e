"""Values of a period: learnt on a batch of queries, carried over to others, divided inside groups.

Legend: R replicates, G groups of queries, S sources.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tribute.config import ValuationSettings
from tribute.valuation.aggregate import SourceSums, filled
from tribute.valuation.estimates import Estimates
from tribute.valuation.terms import Trainings
from tribute.valuation.values import SourceValues, source_values

Array = NDArray[np.float64]
TOKENS = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0])
SETTINGS = ValuationSettings(resamples=200)
WORTH = np.array([2.0, 0.2, 1.0, 2.0, 0.5, 1.0])
"""Nats of a token by retraining."""


def simulated(seed: int = 0) -> Array:
    """Influence of 3 replicates and 4 groups of queries, [R, G, S] nats: about half of the truth."""
    rng = np.random.default_rng(seed)
    return TOKENS * WORTH / 8 * (1 + 0.1 * rng.normal(size=(3, 4, len(TOKENS))))


def sums(nats_RGS: Array, residual_GS: Array | float = 0.0, ood_S: Array | float = 0.0) -> SourceSums:
    groups, sources = nats_RGS.shape[1:]
    doubts = np.zeros((groups, sources)) + residual_GS, np.zeros(sources) + ood_S
    return SourceSums(tuple("abcdef"), nats_RGS, *doubts, 4, 4.0)


def estimates(nats_RGS: Array, member_US: Array | None = None, truth_S: Array | None = None) -> Estimates:
    """Every unit left out under two seeds, whose losses are the truth, give or take a tenth."""
    member_US = np.eye(len(TOKENS)) if member_US is None else member_US
    units = len(member_US)
    lost_K = np.tile(member_US @ (TOKENS * WORTH if truth_S is None else truth_S), 2)
    lost_K = lost_K * (1 + 0.1 * np.random.default_rng(9).normal(size=2 * units))
    trainings = Trainings(np.tile(np.eye(units), (2, 1)), np.repeat([0, 1], units), lost_K)
    names = tuple(f"u{index}" for index in range(units))
    return Estimates("attribute-1", {"simulated": nats_RGS.sum(1) @ member_US.T}, names, member_US, trainings)


def valued(nats_RGS: Array, batch_RGS: Array, member_US: Array | None = None) -> SourceValues:
    return source_values(SETTINGS, sums(nats_RGS), TOKENS, estimates(batch_RGS, member_US))


def test_values_are_what_the_trainings_lost() -> None:
    found = valued(simulated(), simulated())
    np.testing.assert_allclose(found.value_S, TOKENS * WORTH, rtol=0.3)
    note = json.loads(found.note)
    assert note["trainings"][0] == {"seed": 0, "without": ["u0"]} and len(note["trainings"]) == 12
    assert note["coefficients"].keys() == {"tokens", "simulated"}


def test_twice_the_usage_is_worth_twice_as_much_with_twice_the_interval() -> None:
    once, twice = (valued(times * simulated(), simulated()) for times in (1, 2))
    np.testing.assert_allclose(twice.value_S, 2 * once.value_S, rtol=1e-12)
    np.testing.assert_allclose(twice.draws_NS, 2 * once.draws_NS, rtol=1e-12)


def test_usage_that_leans_on_a_source_moves_value_to_it_and_hardly_among_the_others() -> None:
    leaning_RGS = simulated()
    leaning_RGS[:, :, 5] *= 1.1
    moved, same = valued(leaning_RGS, simulated()), valued(simulated(), simulated())
    assert moved.value_S[5] > 1.05 * same.value_S[5]
    np.testing.assert_allclose(moved.value_S[:5], same.value_S[:5], rtol=0.01)


@pytest.mark.parametrize(("uses", "shared", "wider"), [(4.0, True, 0.0), (4.0, False, 2.0), (1.0, True, 3.0)])
def test_uses_that_no_training_was_read_on_widen_the_intervals(uses: float, shared: bool, wider: float) -> None:
    """Of 4 uses, a batch of other n' has n (1 + n / n') / 4 times the variance of the simulated totals."""
    nats_RGS, known = simulated(), estimates(simulated())
    exact = source_values(SETTINGS, sums(nats_RGS), TOKENS, known)
    carried = source_values(SETTINGS, sums(nats_RGS), TOKENS, replace(known, uses=uses, shared=shared))
    np.testing.assert_array_equal(carried.value_S, exact.value_S)
    nats_GS = nats_RGS.mean(0)
    total_S = nats_GS.sum(0)
    worth = exact.value_S @ total_S / (total_S @ total_S)
    wanted_S = worth**2 * wider * np.square(nats_GS - nats_GS.mean(0)).sum(0)
    np.testing.assert_allclose((carried.draws_NS - exact.draws_NS).var(0), wanted_S, rtol=0.3)


def test_a_source_that_hurts_stays_negative() -> None:
    truth_S = TOKENS * WORTH * [1, 1, -1, 1, 1, 1]
    nats_RGS = simulated() * [1, 1, -1, 1, 1, 1]
    found = source_values(SETTINGS, sums(nats_RGS), TOKENS, estimates(nats_RGS, truth_S=truth_S))
    assert (np.sign(found.value_S) == [1, 1, -1, 1, 1, 1]).all()
    assert np.quantile(found.draws_NS[:, 2], 0.975) < 0


def test_harm_that_exceeds_all_help_is_no_reason_to_forget_the_trainings() -> None:
    truth_S = TOKENS * WORTH * [1, 1, 1, 1, 1, -5]
    found = source_values(SETTINGS, sums(simulated()), TOKENS, estimates(simulated(), truth_S=truth_S))
    assert truth_S.sum() < 0
    np.testing.assert_allclose(found.value_S, truth_S, rtol=0.35)


def test_a_group_s_value_is_divided_by_tokens() -> None:
    member_US = np.zeros((5, len(TOKENS)))
    member_US[np.arange(4), np.arange(4)] = 1
    member_US[4, 4:] = 1
    nats_RGS = simulated()
    nats_RGS[:, :, 4:] = nats_RGS[:, :, 4:].sum(2, keepdims=True) * TOKENS[4:] / TOKENS[4:].sum()
    found = valued(nats_RGS, nats_RGS, member_US)
    assert found.value_S[4] / found.value_S[5] == pytest.approx(50 / 60)
    group_N = found.draws_NS[:, 4:].sum(1)
    assert found.draws_NS[:, 4].std() > 1.05 * (group_N * 50 / 110).std()


def test_without_trainings_values_are_the_estimates_and_intervals_wider() -> None:
    plain = source_values(SETTINGS, sums(simulated()), TOKENS, None)
    known = valued(simulated(), simulated())
    assert not json.loads(plain.note)["trainings"]
    relative, learnt = (each.draws_NS.std(0) / np.abs(each.value_S) for each in (plain, known))
    assert (relative > learnt).all()
    correlation = np.corrcoef(plain.value_S, plain.attribution_S)[0, 1]
    assert correlation > 0.9


def test_a_unit_that_failed_everywhere_is_valued_by_its_trainings() -> None:
    nats_RGS = simulated()
    nats_RGS[:, :, 5] = np.nan
    found = valued(nats_RGS, nats_RGS)
    assert np.isfinite(found.draws_NS).all()
    assert found.value_S[5] == pytest.approx(60, rel=0.3)


def test_failed_simulations_take_the_other_replicates_or_the_tokens_worth() -> None:
    nats_RGS = simulated()
    nats_RGS[1, :, 2], nats_RGS[:, :, 4] = np.nan, np.nan
    found = filled(nats_RGS, TOKENS / TOKENS.sum())
    np.testing.assert_allclose(found[1, :, 2], simulated()[[0, 2], :, 2].mean(0))
    known = [0, 1, 2, 3, 5]
    per_token_G = found[:, :, known].mean(0).sum(1) / TOKENS[known].sum()
    np.testing.assert_allclose(found[0, :, 4], per_token_G * 50)


@pytest.mark.parametrize("doubt", ["sampling", "unlike"])
def test_doubt_widens_the_intervals_of_its_sources_alone(doubt: str) -> None:
    settings = ValuationSettings(resamples=4000)
    known, nats_RGS = estimates(simulated()), simulated()
    lone = np.eye(6)[2]
    residual_GS = 200 * np.random.default_rng(1).normal(size=(4, 1)) * lone if doubt == "sampling" else 0.0
    doubted = sums(nats_RGS, residual_GS, 400 * lone if doubt == "unlike" else 0.0)
    sure, unsure = (source_values(settings, each, TOKENS, known) for each in (sums(nats_RGS), doubted))
    np.testing.assert_array_equal(sure.value_S, unsure.value_S)
    wider = unsure.draws_NS.std(0) / sure.draws_NS.std(0)
    assert wider[2] > 1.5
    np.testing.assert_allclose(np.delete(wider, 2), 1, rtol=1e-9)


def test_what_is_read_out_for_certain_is_no_sampling_error() -> None:
    """And what varies from sample to sample does not vary from use to use."""
    settings, nats_RGS, known = ValuationSettings(resamples=4000), simulated(), estimates(simulated())
    lone = np.eye(6)[2]
    residual_GS = 2000 * np.random.default_rng(1).normal(size=(4, 1)) * lone
    sampled = sums(nats_RGS + residual_GS - residual_GS.mean(0), residual_GS)
    spread = {
        (drawn, uses): source_values(
            settings, sampled._replace(drawn=drawn), TOKENS, replace(known, uses=uses)
        ).draws_NS.std(0)[2]
        for drawn in (0.0, 0.75)
        for uses in (0.0, 1.0)
    }
    assert spread[0.75, 0.0] == pytest.approx(0.5 * spread[0.0, 0.0], rel=0.05)
    assert spread[0.0, 1.0] == pytest.approx(spread[0.0, 0.0], rel=0.05)
    of_uses = np.sqrt(0.25 + 0.75 * 3)  # a batch of one of the 4 uses: see the test above
    assert spread[0.75, 1.0] == pytest.approx(of_uses * spread[0.0, 0.0], rel=0.05)


def test_sampled_coalitions_widen_the_intervals_by_their_error() -> None:
    """Sources in proportion to their errors, with their correlations, and few coalitions by more than many."""
    settings, rng = ValuationSettings(resamples=4000), np.random.default_rng(1)
    few_PS, many_PS = (rng.normal(size=(pairs, 6)) @ np.diag([1, 2, 3, 4, 5, 0]) for pairs in (6, 60))
    plain = sums(simulated())
    without = source_values(settings, plain, TOKENS, None)
    heavy = []
    for parts_PS in (few_PS, many_PS):
        found = source_values(settings, plain._replace(coalitions_PS=parts_PS), TOKENS, None)
        np.testing.assert_array_equal(found.value_S, without.value_S)
        added_NS = found.draws_NS - without.draws_NS
        half_S, error_S = np.quantile(added_NS, 0.975, axis=0), np.sqrt(np.square(parts_PS).sum(0))
        assert half_S[5] == 0 and np.ptp(half_S[:5] / error_S[:5]) < 0.15 * half_S[0] / error_S[0]
        cosine = (parts_PS.T @ parts_PS)[0, 1] / error_S[0] / error_S[1]
        assert np.corrcoef(added_NS[:, :2].T)[0, 1] == pytest.approx(cosine, abs=0.1)
        heavy.append((half_S[:5] / error_S[:5]).mean())
    assert heavy[0] / heavy[1] == pytest.approx(2.571 / 2.001, rel=0.1)


@pytest.mark.parametrize("queries", [0, 4])
def test_without_uses_everything_is_worth_nothing_for_sure(queries: int) -> None:
    nothing = SourceSums.of_nothing(tuple("abcdef"))._replace(queries=queries)
    found = source_values(SETTINGS, nothing, TOKENS, estimates(simulated()))
    assert not found.attribution_S.any() and not found.value_S.any() and not found.draws_NS.any()
    assert found.draws_NS.shape == (200, 6) and found.token_weight == 1
