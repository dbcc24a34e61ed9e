"""Trainings beside a full one that was run before, against those that run it along."""

import pytest
import torch

from tests.unit.simulation.simulated import Found, simulated
from tests.unit.simulation.test_paired import TRAININGS
from tests.unit.training.small import small_recipe
from tribute.config import SimulationSettings
from tribute.simulation import Retrained, build_schedule, simulate
from tribute.training import Recipe

WHOLE = SimulationSettings(horizon=1.0)


def beside(recipe: Recipe, change_KS: torch.Tensor, full_P: torch.Tensor) -> Retrained:
    full = recipe.task.pieces(full_P)
    return Retrained(build_schedule(recipe, WHOLE, full), change_KS, full)


@pytest.mark.parametrize("training", TRAININGS)
def test_responses_are_those_beside_the_unperturbed_run_to_the_last_bit(training: dict) -> None:
    recipe, change_KS = small_recipe(**training), torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 1]])
    along = simulated(recipe, change_KS.tolist())
    for rows in ([0, 1, 2], [1], [2, 0]):
        mode = beside(recipe, change_KS[rows], along.theta_P)
        alone = Found.of(simulate(mode, mode.begin(recipe.initial()), 0))
        assert torch.equal(alone.response_KP, along.response_KP[rows])
        assert torch.equal(alone.theta_P, along.theta_P)


def test_a_trajectory_that_diverges_is_given_up_and_the_others_finish() -> None:
    recipe, change_KS = small_recipe(), torch.eye(3)
    along = simulated(recipe)
    mode = beside(recipe, change_KS, along.theta_P)
    ensemble = mode.begin(recipe.initial())
    ensemble.perturbed.theta["0.weight"][1] = torch.inf
    found = Found.of(simulate(mode, ensemble, 0))
    assert found.failed.tolist() == [-1, 0, -1]
    assert not found.response_KP[1].any()
    assert torch.equal(found.response_KP[[0, 2]], along.response_KP[[0, 2]])
    ensemble = mode.begin(recipe.initial())
    ensemble.perturbed.theta["0.weight"][2] += 1e6
    assert simulate(mode, ensemble, 0).failed.tolist() == [-1, -1, 19]
