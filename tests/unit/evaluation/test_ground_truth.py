"""Losses in retraining, from retrains some of which diverged."""

import numpy as np
import pytest

from tribute.evaluation import GroundTruth


def test_a_set_that_diverged_under_either_seed_is_left_out_under_both() -> None:
    same_QM, other_QM = np.arange(6.0).reshape(2, 3), np.arange(6.0, 12.0).reshape(2, 3)
    same_QM[0, 0] = other_QM[1, 2] = np.nan
    truth = GroundTruth.from_retrains(
        [np.zeros((2, 4))],
        {"half": [(0, 1), (1, 2), (2, 3)]},
        {("half", "same"): same_QM, ("half", "other"): other_QM},
    )
    assert truth.sets["half"].tolist() == [[False, True, True, False]]
    assert truth.lost["half", "same"].tolist() == [[1.0], [4.0]]
    assert truth.lost["half", "other"].tolist() == [[7.0], [10.0]]


def test_a_unit_whose_retrain_diverged_counts_as_no_loss() -> None:
    truth = GroundTruth.from_retrains([np.array([[np.nan, 2.0]]), np.array([[4.0, 4.0]])], {}, {})
    assert truth.mean_QU.tolist() == [[2.0, 3.0]]


def test_the_ceiling_is_that_of_one_seed_against_another() -> None:
    lost_QM = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]])
    sets = {"half": np.eye(3, dtype=bool)}
    truth = GroundTruth([lost_QM, -lost_QM], sets, {("half", "same"): lost_QM, ("half", "other"): lost_QM})
    assert truth.ceiling() == pytest.approx({"lds_half": 1.0, "leave_source_out": -1.0})
    assert GroundTruth([lost_QM]).ceiling() == {"leave_source_out": None}


def test_without_another_seed_there_is_no_ceiling() -> None:
    lost_QM = np.array([[1.0, 2.0], [3.0, 1.0]])
    sets = {"half": np.array([[True, False], [False, True]])}
    truth = GroundTruth([lost_QM], sets, {("half", "same"): lost_QM}, own=True)
    assert truth.ceiling() == {"lds_half": None, "leave_source_out": None}


def test_a_subset_keeps_the_sets_and_cuts_the_queries() -> None:
    lost_QM = np.arange(6.0).reshape(3, 2)
    truth = GroundTruth([lost_QM], {"half": np.eye(2, dtype=bool)}, {("half", "same"): lost_QM})
    part = truth.subset(slice(0, 2))
    assert part.mean_QU.tolist() == part.lost["half", "same"].tolist() == lost_QM[:2].tolist()
    assert part.sets is truth.sets
