"""Trainings beside a full one that was run before, against those that run it along."""

import pytest
import torch

from tests.unit.simulation.simulated import Found, simulated
from tests.unit.simulation.test_paired import TRAININGS
from tests.unit.training.small import small_recipe
from tribute.config import SimulationSettings
from tribute.simulation import Retrained, build_schedule, simulate, start_of, unperturbed
from tribute.tasks import joined
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


@pytest.mark.parametrize("training", TRAININGS[:2])
@pytest.mark.parametrize(("horizon", "epsilon"), [(0.4, 1.0), (1.0, 0.5)])
def test_trajectories_one_by_one_give_the_responses_of_the_ensemble(
    training: dict, horizon: float, epsilon: float
) -> None:
    """The unperturbed run first, then each trajectory alone from the recorded state."""
    recipe = small_recipe(**training)
    settings = SimulationSettings(horizon=horizon, epsilon=epsilon)
    schedule = build_schedule(recipe, settings, {})
    along = simulated(recipe, horizon=horizon, epsilon=epsilon)
    end = unperturbed(schedule, start_of(recipe, schedule, recipe.initial(), 0))
    torch.testing.assert_close(joined(end), along.theta_P, rtol=0, atol=1e-6)
    for source, change_S in enumerate(torch.eye(3)):
        mode = Retrained(schedule, change_S[None], end, epsilon)
        begin = start_of(recipe, schedule, recipe.initial(), 0)
        alone = Found.of(simulate(mode, mode.begin(begin), schedule.steps.start))
        apart = (alone.response_KP[0] - along.response_KP[source]).norm() / along.response_KP[source].norm()
        assert apart < 1e-4
