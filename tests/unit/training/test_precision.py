"""Forward and backward passes in bfloat16: what is rounded, and what stays as it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.simulation.simulated import simulated, trained
from tests.unit.training.small import small_recipe
from tribute.config import TaskSettings, TrainingSettings
from tribute.training import Recipe, TrainingSet, gradient


def byte_recipe(**training: object) -> Recipe:
    rng = np.random.default_rng(0)
    by_source = {f"s{i}": {"tokens": rng.integers(0, 256, (8, 17)).astype(np.int16)} for i in range(3)}
    task = TaskSettings(name="byte_lm", options={"context": 16, "width": 16, "heads": 2, "layers": 2})
    settings = {"batch_size": 8, "epochs": 2, "learning_rate": 0.003, "eps_root": 1e-6}
    return Recipe(task, TrainingSettings(**(settings | training)), TrainingSet.assemble(by_source), 0)


RECIPES = [small_recipe, byte_recipe]


@pytest.mark.parametrize("make", RECIPES)
def test_gradients_and_losses_are_float32_and_near_those_of_float32(make) -> None:
    exact, rounded = make(), make(precision="bfloat16")
    state = exact.initial()
    assert torch.equal(state.theta, rounded.initial().theta)
    micro_batches = exact.micro_batches(exact.schedule.order, 0, torch.ones(3))
    slopes = [gradient(recipe.task, state.theta, micro_batches) for recipe in (exact, rounded)]
    losses = [recipe.task.losses(state.theta, micro_batches[0].batch) for recipe in (exact, rounded)]
    for one, other in (slopes, losses):
        assert one.dtype == other.dtype == torch.float32
        assert 1e-5 < float((one - other).norm() / one.norm()) < 0.03
    whole = rounded.run(state, range(rounded.steps), torch.ones(3))
    assert {tensor.dtype for tensor in (whole.theta, *whole.slots)} == {torch.float32}
    assert float((whole.theta - trained(exact)).norm() / (trained(exact) - state.theta).norm()) < 0.1


@pytest.mark.parametrize("make", RECIPES)
def test_measurements_do_not_change(make) -> None:
    exact, rounded = make(), make(precision="bfloat16")
    theta_P = exact.initial().theta
    rows, _ = exact.data.batch(np.arange(5), exact.device)
    assert torch.equal(rounded.task.measure(theta_P, rows), exact.task.measure(theta_P, rows))


@pytest.mark.parametrize("make", RECIPES)
@pytest.mark.parametrize("scope", ["all", "last_block"])
def test_a_paired_simulation_is_near_that_of_float32(make, scope: str) -> None:
    recipe = make()
    exact = simulated(recipe, scope=scope)
    found = simulated(recipe, scope=scope, precision="bfloat16")
    assert found.failed.tolist() == [-1, -1, -1]
    assert found.response_KP.dtype == torch.float32
    close = torch.nn.functional.cosine_similarity(found.response_KP, exact.response_KP)
    assert close.min() > 0.97
    assert not torch.equal(found.response_KP, exact.response_KP)


def test_the_simulated_precision_is_that_of_the_simulation_not_of_the_training() -> None:
    recipe = small_recipe(precision="bfloat16")
    precise = replace(recipe, training=small_recipe().training)
    expected = simulated(precise, precision="float32").response_KP
    assert torch.equal(simulated(recipe, precision="float32").response_KP, expected)


def test_tangents_and_gauss_newton_work_in_bfloat16() -> None:
    recipe = small_recipe(learning_rate=0.02)
    for curvature in ("hessian", "gauss_newton"):
        settings = {"mode": "tangent", "curvature": curvature}
        exact, found = (simulated(recipe, **settings, precision=p).response_KP for p in ("float32", "bfloat16"))
        assert float((found - exact).norm() / exact.norm()) < 0.05
