"""Tangents against closed forms, reverse mode, whole-step derivatives and retraining."""

import pytest
import torch

from tests.unit.simulation.convex import convex_recipe, curvature_and_pulls, optimum
from tests.unit.simulation.simulated import simulated, trained
from tests.unit.simulation.test_paired import TRAININGS
from tests.unit.training.small import small_recipe
from tribute.tasks import Parameters, combined, joined
from tribute.training import State


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ["Ridge", "Logistic"])
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_at_convergence_the_tangent_is_the_influence_function(kind: str, weight: float) -> None:
    decay = 0.2
    recipe = convex_recipe(kind, 500, weight_decay=decay)
    found = simulated(recipe, mode="tangent", weight=weight)
    hessian, pulls_SP = curvature_and_pulls(recipe, found.theta_P)
    closed = -torch.linalg.solve(weight * hessian + decay * torch.eye(4), pulls_SP.T).T
    torch.testing.assert_close(found.response_KP, closed, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
@pytest.mark.parametrize("kind", ["Ridge", "Logistic"])
def test_continuing_from_the_optimum_gives_the_damped_inverse_influence(kind: str, curvature: str) -> None:
    recipe = convex_recipe(kind, 1)
    best = optimum(recipe)
    start = recipe.rule.begin(recipe.task.pieces(best))
    settings = {"base": "continue", "steps": 300, "damping": 0.3}
    found = simulated(recipe, start=start, mode="tangent", curvature=curvature, **settings)
    matrix, pulls_SP = curvature_and_pulls(recipe, best)
    closed = -torch.linalg.solve(matrix + 0.3 * torch.eye(4), pulls_SP.T).T
    torch.testing.assert_close(found.response_KP, closed, rtol=1e-6, atol=1e-8)
    paired = simulated(recipe, start=start, epsilon=1e-4, **settings)
    torch.testing.assert_close(paired.response_KP, closed, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("float64")
def test_stopping_early_acts_as_the_effective_damping() -> None:
    """(1 - exp(-sigma m)) / sigma against 1 / (sigma + 1 / m): both are m for the flat directions."""
    recipe = convex_recipe("Ridge", 1)
    best = optimum(recipe)
    start = recipe.rule.begin(recipe.task.pieces(best))
    found = simulated(recipe, start=start, mode="tangent", base="continue", steps=5, learning_rate=1e-4)
    _, pulls_SP = curvature_and_pulls(recipe, best)
    torch.testing.assert_close(found.response_KP, -pulls_SP * 5e-4, rtol=2e-3, atol=1e-9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("training", TRAININGS)
def test_a_tangent_is_the_derivative_of_the_whole_training_and_the_adjoint_of_reverse_mode(training: dict) -> None:
    recipe = small_recipe(**training)
    tangents = simulated(recipe, mode="tangent").response_KP

    def final(weights_S: torch.Tensor) -> torch.Tensor:
        return joined(recipe.run(recipe.initial(), range(recipe.steps), weights_S).theta)

    for source in range(3):
        forward = torch.func.jvp(final, (torch.ones(3),), (torch.eye(3)[source],))[1]
        torch.testing.assert_close(tangents[source], forward, rtol=1e-9, atol=1e-12)
    query = torch.randn(4, 4)
    labels = torch.tensor([0, 1, 1, 0])

    def measured(theta_P: torch.Tensor) -> torch.Tensor:
        return recipe.task.measure(theta_P, {"features": query, "labels": labels}).sum()

    backward_S = torch.func.grad(lambda weights: measured(final(weights)))(torch.ones(3))
    gradient_P = torch.func.grad(measured)(final(torch.ones(3)))
    torch.testing.assert_close(tangents @ gradient_P, backward_S, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("training", TRAININGS)
def test_a_tangent_is_the_central_difference(training: dict) -> None:
    recipe = small_recipe(epochs=1, **training)
    tangents = simulated(recipe, mode="tangent").response_KP
    step = 1e-5
    for source in range(3):
        up, down = (trained(recipe, [1.0 + sign * step * (s == source) for s in range(3)]) for sign in (1.0, -1.0))
        torch.testing.assert_close(tangents[source], (up - down) / (2 * step), rtol=1e-4, atol=1e-7)


@pytest.mark.usefixtures("float64")
def test_the_response_of_a_union_is_the_sum_and_splitting_a_source_leaves_its_total() -> None:
    recipe = small_recipe()
    found = simulated(recipe, [[1, 0, 0], [0, 1, 0], [1, 1, 0]], mode="tangent").response_KP
    torch.testing.assert_close(found[0] + found[1], found[2], rtol=1e-10, atol=1e-13)


@pytest.mark.usefixtures("float64")
def test_gauss_newton_is_the_hessian_without_the_models_own_curvature() -> None:
    recipe = small_recipe(learning_rate=0.01)
    hessian = simulated(recipe, mode="tangent").response_KP
    newton = simulated(recipe, mode="tangent", curvature="gauss_newton").response_KP
    assert 1e-5 < float((hessian - newton).norm() / hessian.norm()) < 0.2


def doubled(theta: Parameters) -> Parameters:
    return combined(torch.Tensor.double, theta)


def test_float32_agrees_with_float64() -> None:
    settings = {"optimizer": "adamw", "eps_root": 1e-6}
    start = small_recipe(**settings).initial()
    single = simulated(small_recipe(**settings), mode="tangent", start=start).response_KP
    torch.set_default_dtype(torch.float64)
    try:
        precise = State(doubled(start.theta), tuple(map(doubled, start.slots)))
        double = simulated(small_recipe(**settings), mode="tangent", start=precise).response_KP
    finally:
        torch.set_default_dtype(torch.float32)
    assert float((single.double() - double).norm() / double.norm()) < 1e-3
