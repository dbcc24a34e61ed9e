"""Paired simulation against real retraining."""

import pytest
import torch

from tests.unit.simulation.simulated import Found, scaled, simulated, trained
from tests.unit.training.small import SOURCES, small_recipe
from tribute.config import SimulationSettings
from tribute.simulation import Paired, build_schedule, simulate
from tribute.tasks import Scope, joined
from tribute.training import BatchOrder, NonFinite, State

TRAININGS = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "nesterov": True, "weight_decay": 0.1, "schedule": "linear"},
    {"optimizer": "adam", "weight_decay": 0.1, "eps": 1e-8},
    {"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0.1},
    {"optimizer": "sgd", "clip_norm": 0.2, "accumulation": 4},
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("training", TRAININGS)
def test_full_horizon_equals_retraining_without_the_source(training: dict) -> None:
    recipe = small_recipe(**training)
    responses = simulated(recipe)
    whole = trained(recipe)
    torch.testing.assert_close(responses.theta_P, whole, rtol=1e-12, atol=1e-12)
    for source in range(3):
        without = trained(recipe, [float(s != source) for s in range(3)])
        torch.testing.assert_close(responses.response_KP[source], whole - without, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_removing_a_source_by_weight_is_removing_its_examples_from_every_batch() -> None:
    recipe = small_recipe(momentum=0.0)
    state = recipe.initial()
    weights_S = torch.tensor([1.0, 0.0, 1.0])
    perturbed = joined(recipe.run(state, range(1), weights_S).theta)
    indices = BatchOrder(len(recipe.data), 8, recipe.seed).indices(0)
    kept = indices[recipe.data.source_N[indices] != 1]
    batch, _ = recipe.data.batch(kept, recipe.device)
    theta = joined(state.theta).clone().requires_grad_()
    (recipe.task.losses(theta, batch).sum() / 8).backward()
    torch.testing.assert_close(
        perturbed, joined(state.theta) - recipe.schedule.rates[0] * theta.grad, rtol=1e-12, atol=1e-14
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("mode", ["paired", "tangent"])
def test_responses_do_not_depend_on_what_else_is_in_the_stack_and_follow_permutations(mode: str) -> None:
    recipe = small_recipe()
    together = simulated(recipe, mode=mode, horizon=0.4).response_KP
    permuted = simulated(recipe, torch.eye(3)[[2, 0, 1]].tolist(), mode=mode, horizon=0.4).response_KP
    torch.testing.assert_close(permuted, together[[2, 0, 1]], rtol=1e-12, atol=1e-14)
    for source in range(3):
        alone = simulated(recipe, [torch.eye(3)[source].tolist()], mode=mode, horizon=0.4).response_KP[0]
        torch.testing.assert_close(alone, together[source], rtol=1e-9, atol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("weight", [1.0, 0.5])
@pytest.mark.parametrize("base", ["replay", "continue"])
def test_a_small_epsilon_tends_to_the_tangent(weight: float, base: str) -> None:
    recipe = small_recipe(clip_norm=0.5)
    exact = simulated(recipe, mode="tangent", weight=weight, base=base, damping=0.1, steps=20).response_KP
    errors = []
    for epsilon in (1e-2, 1e-3):
        close = simulated(recipe, weight=weight, base=base, damping=0.1, steps=20, epsilon=epsilon).response_KP
        errors.append(float((close - exact).norm() / exact.norm()))
    assert errors[1] < errors[0] / 5 < 0.02


def test_a_source_outside_the_horizon_has_no_response_at_all() -> None:
    recipe = small_recipe(batch_size=1, epochs=1, momentum=0.0)
    last = recipe.steps - 1
    seen = int(recipe.data.source_N[BatchOrder(len(recipe.data), 1, recipe.seed).indices(last)][0])
    norms = simulated(recipe, horizon=1e-9).response_KP.norm(dim=1)
    assert [bool(norm) for norm in norms] == [source == seen for source in range(3)]


def test_a_trajectory_that_explodes_is_given_up_and_the_others_finish() -> None:
    recipe = small_recipe()
    schedule = build_schedule(recipe, SimulationSettings(horizon=1.0), recipe.initial().theta)
    mode = Paired(schedule, Scope(recipe.task, "all"), torch.eye(3), 1.0)
    ensemble = mode.begin(recipe.initial())
    ensemble.perturbed.theta["0.weight"][2] = torch.inf
    found = Found.of(simulate(mode, ensemble, 0))
    assert found.failed.tolist() == [-1, 0, -1]
    assert not found.response_KP[1].any()
    torch.testing.assert_close(found.response_KP[[0, 2]], simulated(recipe).response_KP[[0, 2]])
    ensemble = mode.begin(recipe.initial())
    ensemble.perturbed.theta["0.weight"][3] += 1e6
    assert simulate(mode, ensemble, 0).failed.tolist() == [-1, -1, 19]


def test_a_base_run_that_explodes_names_the_step() -> None:
    recipe = small_recipe()
    start = recipe.initial()
    with pytest.raises(NonFinite, match="step 0 of 20"):
        simulated(recipe, start=State(scaled(start.theta, torch.inf), start.slots))
    assert recipe.data.source_ids == SOURCES
