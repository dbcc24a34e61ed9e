"""Paired simulation against real retraining."""

import pytest
import torch

from tests.unit.training.small import SOURCES, small_recipe
from tribute.errors import SimulationError
from tribute.simulation import paired
from tribute.training import BatchOrder, State


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_full_horizon_equals_retraining_without_the_source(optimizer: str) -> None:
    recipe = small_recipe(optimizer=optimizer)
    responses = paired(recipe, recipe.initial(), 0, [0, 1, 2], 1.0)
    trained = recipe.run(recipe.initial(), range(recipe.steps), torch.ones(3)).theta
    torch.testing.assert_close(responses.theta_P, trained, rtol=1e-12, atol=1e-12)
    for source in range(3):
        weights_S = torch.ones(3)
        weights_S[source] = 0
        without = recipe.run(recipe.initial(), range(recipe.steps), weights_S).theta
        torch.testing.assert_close(responses.response_SP[source], trained - without, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_removing_a_source_by_weight_is_removing_its_examples_from_every_batch() -> None:
    recipe = small_recipe(momentum=0.0)
    state = recipe.initial()
    weights_S = torch.tensor([1.0, 0.0, 1.0])
    moved = recipe.run(state, range(1), weights_S).theta
    indices = BatchOrder(len(recipe.data), 8, recipe.seed).indices(0)
    kept = indices[recipe.data.source_N[indices] != 1]
    batch, _ = recipe.data.batch(kept, recipe.device)
    theta = state.theta.clone().requires_grad_()
    (recipe.task.losses(theta, batch).sum() / 8).backward()
    torch.testing.assert_close(moved, state.theta - recipe.rates[0] * theta.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("float64")
def test_responses_do_not_depend_on_what_else_is_in_the_stack_and_follow_permutations() -> None:
    recipe = small_recipe()
    first = recipe.horizon_start(0.4)
    start = recipe.run(recipe.initial(), range(first), torch.ones(3))
    together = paired(recipe, start, first, [0, 1, 2], 1.0).response_SP
    permuted = paired(recipe, start, first, [2, 0, 1], 1.0).response_SP
    torch.testing.assert_close(permuted, together[[2, 0, 1]], rtol=1e-12, atol=1e-14)
    for source in range(3):
        alone = paired(recipe, start, first, [source], 1.0).response_SP[0]
        torch.testing.assert_close(alone, together[source], rtol=1e-9, atol=1e-13)


@pytest.mark.usefixtures("float64")
def test_a_small_epsilon_tends_to_the_derivative() -> None:
    recipe = small_recipe()
    derivative = torch.func.jvp(
        lambda w: recipe.run(recipe.initial(), range(recipe.steps), w).theta,
        (torch.ones(3),),
        (torch.tensor([0.0, 1.0, 0.0]),),
    )[1]
    errors = []
    for epsilon in (1e-2, 1e-3):
        response = paired(recipe, recipe.initial(), 0, [1], epsilon).response_SP[0] / epsilon
        errors.append(float((response - derivative).norm() / derivative.norm()))
    assert errors[1] < errors[0] / 5 < 0.01


def test_a_source_outside_the_horizon_has_no_response_at_all() -> None:
    recipe = small_recipe(batch_size=1, epochs=1, momentum=0.0)
    last = recipe.steps - 1
    seen = int(recipe.data.source_N[BatchOrder(len(recipe.data), 1, recipe.seed).indices(last)][0])
    start = recipe.run(recipe.initial(), range(last), torch.ones(3))
    norms = paired(recipe, start, last, [0, 1, 2], 1.0).response_SP.norm(dim=1)
    assert [bool(norm) for norm in norms] == [source == seen for source in range(3)]


def test_a_trajectory_that_explodes_names_its_source_and_step() -> None:
    recipe = small_recipe()
    start = recipe.initial()
    broken = State(start.theta * torch.inf, start.slots)
    with pytest.raises(SimulationError, match=f"step 0 of 20.*without {SOURCES[1]}"):
        paired(recipe, broken, 0, [1], 1.0)
