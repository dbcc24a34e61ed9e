"""How far training moves parameters that have optimizers of their own, against a loop over steps."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.unit.estimators.small import small_training
from tribute.estimators.methods.curvature.reach import FLOOR, reach_over, recorded_stretches
from tribute.training.optimizers import Adam, AtRates, Sgd, Varying


@pytest.mark.usefixtures("float64")
def test_each_parameter_moves_by_its_own_rates_and_optimizer(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    steps, rates, recipe = trained.steps, trained.recipe.schedule.rates, trained.recipe
    [first, second, third, fourth] = trained.task.shapes
    momenta = [0.5 if step < 10 else 0.8 for step in range(steps)]
    varying = Varying(tuple(Sgd(momentum, 0.0) for momentum in momenta))
    own = {
        first: AtRates(Sgd(0.5, 0.0), tuple(3 * rates)),
        second: varying,
        third: AtRates(Sgd(0.5, 0.0), (0.0,)),
    }
    vars(recipe)["rule"] = replace(recipe.rule, own=own)
    found = trained.task.pieces(reach_over(trained, recorded_stretches(trained, 10, "astra")))
    expected = {first: 3 * rates.sum() / 0.5, fourth: rates.sum() / 0.1, second: 0.0}
    ends = trained.trajectory.steps()
    for step in range(steps):
        end = min(end for end in ends if end > step)
        expected[second] += rates[step] / (1 - momenta[end - 1])
    expected[third] = FLOOR * max(expected.values())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], torch.full(trained.task.shapes[name], float(value)))


@pytest.mark.usefixtures("float64")
def test_adam_divides_by_the_spread_of_its_gradients() -> None:
    adam = Adam((0.9, 0.5), eps_root=0.25, eps=2.0, weight_decay=0.0, decoupled=True)
    gradients, theta = [torch.tensor([3.0]), torch.tensor([1.0])], torch.zeros(1)
    slots = adam.init(theta)
    for step, gradient in enumerate(gradients):
        theta, slots = adam.update(theta, gradient, slots, 0.1, step)
    mean_square = (0.25 * 9 + 0.5 * 1) / 0.75
    torch.testing.assert_close(adam.spread(slots[1], 2), torch.tensor([(mean_square + 0.25) ** 0.5 + 2.0]))
