"""Tail-patch: one step on a source's examples, by hand."""

import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.simulation import patch_responses
from tribute.tasks import joined


@pytest.mark.usefixtures("float64")
def test_a_patch_is_one_training_step_on_the_source_s_own_examples() -> None:
    recipe = small_recipe()
    state = recipe.initial()
    found = patch_responses(recipe, state, (0, 1))
    for source in (0, 1):
        own = (recipe.data.source_N == source).nonzero()[0]
        batch, _ = recipe.data.batch(own, recipe.device)
        slope = torch.func.grad(lambda at, b=batch: recipe.task.losses(at, b).mean())(joined(state.theta))
        slope = recipe.task.pieces(slope)
        after = recipe.rule.apply(state, slope, float(recipe.schedule.rates.mean()), recipe.steps)
        torch.testing.assert_close(found[source], joined(state.theta) - joined(after.theta))
