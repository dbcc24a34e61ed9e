"""Scores against retraining, on arrays small enough to work out by hand."""

import doctest
from dataclasses import replace

import numpy as np
import pytest

from tribute.evaluation import (
    EvaluationStudy,
    GroundTruth,
    better_estimate_warning,
    brittleness,
    evaluation_warnings,
    study,
)
from tribute.evaluation.figures import BrittlenessFigures, PoolFigures
from tribute.valuation import SourceValues

LOST_QU = np.array([[3.0, 1.0, -0.5], [0.2, 2.0, 0.1], [1.0, 4.0, 2.0]])
SETS = {"half": np.array([[True, True, False], [False, True, True], [True, False, True]])}


def truth_of(*seeds: np.ndarray) -> GroundTruth:
    lost_QM = LOST_QU @ SETS["half"].T
    return GroundTruth(seeds, SETS, {("half", "same"): lost_QM, ("half", "other"): lost_QM})


def study_of(truth: GroundTruth) -> EvaluationStudy:
    return EvaluationStudy(truth, uses_Q=np.array([2.0, 1.0, 1.0]), split_UP=np.eye(3), resamples=100)


def test_the_docstring_s_example_runs() -> None:
    assert doctest.testmod(study).failed == 0


def test_the_truth_itself_scores_best_whatever_its_unit() -> None:
    scores = study_of(truth_of(LOST_QU)).score(7 * LOST_QU)
    assert scores.leave_source_out.value == pytest.approx(1.0)
    assert scores.misallocated_pool == pytest.approx(0.0)
    assert {name: score.value for name, score in scores.lds.items()} == pytest.approx(
        {"lds_half_other_seed": 1.0, "lds_half_same_seed": 1.0}
    )


def test_the_opposite_of_the_truth_scores_worst() -> None:
    scores = study_of(truth_of(LOST_QU)).score(-LOST_QU)
    assert scores.leave_source_out.value == pytest.approx(-1.0)
    assert scores.lds["lds_half_same_seed"].value == pytest.approx(-1.0)


@pytest.mark.parametrize(("unseen", "by_other"), [(LOST_QU, 1.0), (-LOST_QU, -1.0), (None, None)])
def test_where_the_truth_is_the_estimates_own_another_seed_judges_what_never_saw_it(
    unseen: np.ndarray | None, by_other: float | None
) -> None:
    own = replace(truth_of(LOST_QU), own=True)
    scores = study_of(own).score(LOST_QU, unseen)
    assert scores.lds["lds_half_same_seed"].value == pytest.approx(1.0)
    found = scores.lds.get("lds_half_other_seed")
    assert (found and found.value) == (by_other if by_other is None else pytest.approx(by_other))
    elsewhere = study_of(truth_of(LOST_QU)).score(LOST_QU, -LOST_QU)
    assert elsewhere.lds["lds_half_other_seed"].value == pytest.approx(1.0)  # of no effect on other trainings


def test_effects_of_halves_are_judged_by_the_own_seed_where_there_is_no_other() -> None:
    lost = {("half", "same"): LOST_QU @ SETS["half"].T}
    effects = study_of(GroundTruth([LOST_QU], SETS, lost, own=True)).effects(LOST_QU)
    assert all(effect.predicted == pytest.approx(effect.real) for effect in effects)


def test_queries_count_by_their_uses_and_units_by_their_payees() -> None:
    split_UP = np.array([[1.0, 0.0], [0.5, 0.5]])
    truth = GroundTruth([np.array([[1.0, 3.0], [4.0, 0.0]])])
    uses_Q, estimate_QU = np.array([3.0, 1.0]), np.array([[1.0, 1.0], [0.0, 0.0]])
    owed_P, paid_P = np.array([3 + 4 + 4.5, 4.5]), np.array([4.5, 1.5])
    expected = np.abs(paid_P / paid_P.sum() - owed_P / owed_P.sum()).sum() / 2
    assert EvaluationStudy(truth, uses_Q, split_UP, 100).score(estimate_QU).misallocated_pool == pytest.approx(
        expected
    )


def test_values_are_scored_by_payee_with_the_coverage_of_their_intervals() -> None:
    """The draws move money between a and b, so only the share of c is sure, and wrong: 1.6 / 16.8."""
    owed_S = np.array([2.0, 1.0, 1.0]) @ LOST_QU
    draws_NS = owed_S + np.linspace(-1, 1, 201)[:, None] * np.array([3, -3, 0]) + np.array([0, 0, 0.5])
    values = SourceValues(owed_S, owed_S, draws_NS, 0.0, "{}")
    scores = study_of(truth_of(LOST_QU)).score_values(
        values, np.array([1.0, 1.0, 2.0]), np.eye(3), ["a", "b", "c"]
    )
    assert scores.pool.misallocated_pool == pytest.approx(0.0)
    assert scores.pool.token_count > scores.pool.misallocated_pool
    assert scores.pool.ceiling is None  # one seed cannot be compared with another
    assert scores.coverage_95 == pytest.approx(2 / 3)
    assert [row.source_id for row in scores.intervals if not row.low <= row.truth <= row.high] == ["c"]
    assert sum(row.truth for row in scores.intervals) == pytest.approx(1.0)


def test_effects_pair_each_unit_and_each_half_with_its_loss() -> None:
    effects = study_of(truth_of(LOST_QU, LOST_QU)).effects(2 * LOST_QU)
    assert [effect.removed for effect in effects] == ["one"] * 3 + ["half"] * 3
    assert all(effect.predicted == pytest.approx(2 * effect.real) for effect in effects)


def test_brittleness_takes_each_query_s_own_set_and_the_last_for_all() -> None:
    lost_BM = np.array([[5.0, 0.0, 1.0], [0.0, 7.0, 2.0]])
    assert brittleness(2, lost_BM) == BrittlenessFigures(removed=2, attribution=6.0, token_count=1.5)


def test_warnings_name_values_worse_than_token_counts_and_too_few_seeds() -> None:
    pool = PoolFigures(misallocated_pool=0.3, token_count=0.2, equal=0.4, ceiling=None)
    worse, few = evaluation_warnings(pool, token_weight=0.5, seeds=2)
    assert "20.0%" in worse and "30.0%" in worse and "50%" in worse
    assert "2 retraining seed" in few
    _, recorded = evaluation_warnings(pool, token_weight=0.5, seeds=2, repetition="replayed")
    assert "2 recorded training(s)" in recorded and "evaluation.seeds" not in recorded
    assert evaluation_warnings(pool.model_copy(update={"misallocated_pool": 0.1}), token_weight=0.5, seeds=4) == []


def test_an_estimate_that_is_better_than_the_paid_values_is_named_with_the_remedy() -> None:
    """The uses count 2, 1, 1, so the truth is 7.2, 8, 1.1: the estimate has it, the values pay the third alone."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(4, 3, 3))
    scored, paid_U = study_of(truth_of(*(LOST_QU + noise))), np.array([0.0, 0.0, 1.0])
    right = scored.improvement(paid_U, LOST_QU)
    assert right.low < right.value < right.high
    assert right.value == pytest.approx(15.2 / 16.3, abs=0.06)
    [told] = better_estimate_warning("nearest, 1 replicate", 0.05, 0.98, right, "Set it.")
    assert told.startswith("nearest, 1 replicate alone misallocates 5.0% of the pool, the paid values 98.0%.")
    assert told.endswith("Set it.")
    assert f"by {right.value:.1%} of the pool (95% interval {right.low:.1%} to" in told


def test_an_estimate_that_may_be_better_by_chance_is_not_named() -> None:
    noise = np.random.default_rng(0).normal(scale=3.0, size=(3, 3, 3))
    scored, truth_U = study_of(truth_of(*(LOST_QU + noise))), np.array([7.2, 8.0, 1.1])
    near = scored.improvement(truth_U * [1.05, 1, 1], LOST_QU)
    assert near.low < 0 < near.high and better_estimate_warning("it", 0.1, 0.1, near, "") == []
    assert study_of(truth_of(LOST_QU)).improvement(truth_U[::-1], LOST_QU) is None, "one seed has no interval"
    assert better_estimate_warning("it", 0.1, 0.2, None, "") == []
