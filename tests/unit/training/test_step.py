"""One step against a for-loop over examples, and many trajectories against each alone."""

import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.simulation.ensemble import repeated
from tribute.tasks import joined
from tribute.training import MicroBatch, advance


@pytest.mark.usefixtures("float64")
def test_a_step_descends_the_weighted_mean_with_the_batch_size_fixed() -> None:
    recipe = small_recipe(momentum=0.0)
    state = recipe.initial()
    batch, source_B = recipe.data.batch(torch.arange(8).numpy(), recipe.device)
    weights_B = torch.tensor([1.0, 0.5, 0.0])[torch.arange(8) % 3]
    moved = advance(recipe.task, recipe.rule, state, [MicroBatch(batch, weights_B)], 0.1, 0)

    expected = torch.zeros_like(joined(state.theta))
    for index in range(8):
        one = {name: column[index : index + 1] for name, column in batch.items()}
        theta = joined(state.theta).clone().requires_grad_()
        recipe.task.losses(theta, one).sum().backward()
        expected += weights_B[index] * theta.grad / 8
    torch.testing.assert_close(joined(moved.theta), joined(state.theta) - 0.1 * expected, rtol=1e-12, atol=1e-14)
    assert source_B.tolist() == [0] * 8


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_stack_of_trajectories_moves_as_each_alone(optimizer: str) -> None:
    recipe = small_recipe(optimizer=optimizer)
    weights_KS = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.3]])
    start = recipe.initial()
    stack = repeated(start, 3)
    together = joined(recipe.run(stack, range(recipe.steps), weights_KS).theta, 1)
    for row in range(3):
        alone = joined(recipe.run(start, range(recipe.steps), weights_KS[row]).theta)
        torch.testing.assert_close(together[row], alone, rtol=1e-10, atol=1e-12)
