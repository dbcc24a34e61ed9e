"""Dropout: the same in every trajectory and every replay, and none when a query is measured."""

from dataclasses import replace

import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.config import SimulationSettings, TaskSettings
from tribute.simulation import build_mode, build_schedule, change_matrix, leave_one_out_units, simulate
from tribute.training import Recipe

pytestmark = pytest.mark.usefixtures("float64")


def dropout_recipe() -> Recipe:
    settings = TaskSettings(name="tests.unit.tasks.own_task:with_dropout", options={"features": 4})
    return replace(small_recipe(momentum=0.5), task_settings=settings)


@pytest.mark.parametrize("mode", ["paired", "tangent"])
def test_simulations_see_the_dropout_of_the_training(mode: str) -> None:
    recipe = dropout_recipe()
    final = recipe.run(recipe.initial(), range(recipe.steps), torch.ones(3)).theta
    torch.manual_seed(99)
    settings = SimulationSettings(horizon=1.0, mode=mode)
    schedule = build_schedule(recipe, settings, final)
    found_mode = build_mode(
        schedule, settings, torch.from_numpy(change_matrix(leave_one_out_units("abc"), 3)).double()
    )
    found = simulate(found_mode, found_mode.begin(recipe.initial()), 0)
    torch.testing.assert_close(found.theta_P, final, rtol=1e-12, atol=1e-12)
    if mode == "paired":
        without = recipe.run(recipe.initial(), range(recipe.steps), torch.tensor([0.0, 1.0, 1.0])).theta
        torch.testing.assert_close(found.response_KP[0], final - without, rtol=1e-10, atol=1e-12)
    else:
        perturbed = [
            recipe.run(recipe.initial(), range(recipe.steps), torch.tensor([w, 1.0, 1.0])).theta
            for w in (1 + 1e-5, 1 - 1e-5)
        ]
        torch.testing.assert_close(
            found.response_KP[0], (perturbed[0] - perturbed[1]) / 2e-5, rtol=1e-5, atol=1e-7
        )


def test_training_is_random_and_measuring_is_not() -> None:
    recipe = dropout_recipe()
    batch, _ = recipe.data.batch([0, 1, 2], recipe.device)
    theta_P = recipe.initial().theta
    assert not torch.equal(recipe.task.losses(theta_P, batch), recipe.task.losses(theta_P, batch))
    torch.testing.assert_close(recipe.task.measure(theta_P, batch), recipe.task.measure(theta_P, batch))
    state = torch.random.get_rng_state()
    recipe.run(recipe.initial(), range(2), torch.ones(3))
    assert torch.equal(state, torch.random.get_rng_state())
