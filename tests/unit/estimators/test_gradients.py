"""Gradients of groups, large and small, against sums of single ones by autograd."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.estimators.small import loss_gradient, small_training
from tribute.estimators import Groups
from tribute.estimators.gradients import SMALL_GROUP, group_gradients


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("size", [1, SMALL_GROUP, SMALL_GROUP + 1])
def test_a_group_is_the_sum_of_its_examples(tmp_path: Path, size: int) -> None:
    trained = small_training(tmp_path)
    group_N = np.random.default_rng(0).permutation(np.arange(40) // size)
    groups = Groups(np.where(group_N < 40 // size, group_N, -1), 40 // size)
    found_GP = group_gradients(trained, trained.theta_P, groups)
    for group, found_P in enumerate(found_GP):
        members = groups.members(group)
        assert len(members) == size
        expected_P = sum(loss_gradient(trained.recipe, trained.theta_P, example) for example in members)
        torch.testing.assert_close(found_P, expected_P, rtol=1e-10, atol=1e-12)
