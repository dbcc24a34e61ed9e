"""Conjugate gradients against dense solves with the Gauss-Newton matrix, whole and cut short."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import grad, hessian, jacrev

import tribute
from tests.unit.estimators.small import loss_gradient, query_gradient, small_queries, small_training, sources
from tests.unit.training.recorded_lm import windows
from tests.unit.training.small import small_recipe
from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.estimators import Groups, Trained, build_estimator, most_influential
from tribute.estimators.gradients import measurements
from tribute.readout import QueryRows
from tribute.tasks import Batch, Model
from tribute.training import Recipe, State, TrainingSet, Trajectory, record

LAMBDA = 0.05


def gauss_newton(trained: Trained, chosen: np.ndarray) -> torch.Tensor:
    """Mean of J' H J over examples, from dense Jacobians and Hessians."""
    task, theta_P, found = trained.task, trained.theta_P, 0.0
    for example in chosen:
        batch, _ = trained.data.batch(np.array([example]), trained.device)
        jacobian = jacrev(lambda at, batch=batch: task.outputs(at, batch).flatten())(theta_P)
        outputs = task.outputs(theta_P, batch)
        curved = hessian(
            lambda flat, batch=batch, like=outputs: task.losses_of_outputs(flat.view_as(like), batch)[0]
        )(outputs.flatten())
        found = found + jacobian.T @ curved @ jacobian
    return found / len(chosen)


def summed_losses(trained: Trained, groups: Groups) -> torch.Tensor:
    """Gradient of the loss summed over each group, [P, G]."""
    columns = [
        sum(loss_gradient(trained.recipe, trained.theta_P, example) for example in groups.members(group))
        for group in range(groups.count)
    ]
    return torch.stack(columns, 1)


def asked(trained: Trained) -> torch.Tensor:
    queries = small_queries()
    return torch.stack([query_gradient(trained.recipe, trained.theta_P, queries, q) for q in range(3)])


def found_of(trained: Trained, groups: Groups, queries: QueryRows, **options: float) -> torch.Tensor:
    estimator = build_estimator("conjugate_gradient", options)
    fitted = estimator.fit(trained)
    return estimator.influence(trained, fitted, estimator.gather(trained, fitted, groups), queries)


@pytest.mark.usefixtures("float64")
def test_many_iterations_solve_exactly_however_cut(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    damped = gauss_newton(trained, np.arange(40)) + LAMBDA * torch.eye(trained.task.size)
    expected = -asked(trained) @ torch.linalg.solve(damped, summed_losses(trained, sources(trained))) / 40
    found = found_of(trained, sources(trained), small_queries(), damping=LAMBDA, iterations=40)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)
    short = found_of(trained, sources(trained), small_queries(), iterations=4)
    narrow = {"rows": 15, "product_bytes": 1}  # micro-batches of 14, 13 and 13 examples, one group at a time
    cut = found_of(trained, sources(trained), small_queries(), iterations=4, **narrow)
    torch.testing.assert_close(cut, short, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_few_iterations_are_the_best_in_their_krylov_space(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    estimator = build_estimator("conjugate_gradient", {"iterations": 3, "damping": 0.01})
    damped = gauss_newton(trained, np.arange(40)) + 0.01 * torch.eye(trained.task.size)
    gathered = estimator.gather(trained, {}, sources(trained))
    for group, right in enumerate(-summed_losses(trained, sources(trained)).T / 40):
        space = torch.stack([right, damped @ right, damped @ damped @ right], 1)
        best = space @ torch.linalg.solve(space.T @ damped @ space, space.T @ right)
        torch.testing.assert_close(gathered["response_GP"][group], best, rtol=1e-6, atol=1e-9)
        left = (right - damped @ best).norm() / right.norm()
        torch.testing.assert_close(gathered["residual_G"][group], left, rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("optimizer", "bare"), [("sgd", False), ("sgd", True), ("adamw", False)])
def test_damping_follows_how_far_gradient_descent_went(tmp_path: Path, optimizer: str, bare: bool) -> None:
    trained = small_training(tmp_path, optimizer=optimizer)
    rates, momentum = trained.recipe.schedule.rates, trained.recipe.training.momentum
    known = trained.recipe.training.optimizer == "sgd" and not bare
    expected = 3 * (1 - momentum) / rates.sum() if known else 0.01
    if bare:
        trained.trajectory.save(0, trained.final)
        trained = Trained(trained.recipe, trained.trajectory, 0)
    found = found_of(trained, sources(trained), small_queries())
    asked_for = found_of(trained, sources(trained), small_queries(), damping=float(expected))
    torch.testing.assert_close(found, asked_for, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_curvature_of_fewer_examples_and_a_group_without_any(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    chosen = np.sort(np.random.default_rng(0).permutation(40)[:9])
    damped = gauss_newton(trained, chosen) + LAMBDA * torch.eye(trained.task.size)
    groups = Groups(np.where(np.arange(40) < 6, 0, -1), 2)
    gradient_P1 = summed_losses(trained, Groups(groups.group_N, 1))
    expected = -asked(trained) @ torch.linalg.solve(damped, gradient_P1) / 40
    found = found_of(trained, groups, small_queries(), damping=LAMBDA, iterations=30, examples=9)
    torch.testing.assert_close(found[:, :1], expected, rtol=1e-8, atol=1e-10)
    assert torch.equal(found[:, 1], torch.zeros(3))


@pytest.mark.usefixtures("float64")
def test_a_source_is_the_sum_of_its_examples_once_solved(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    options, groups = {"damping": LAMBDA, "iterations": 40}, Groups.of_sources(trained.data, [2])
    estimator = build_estimator("conjugate_gradient", options)
    single = most_influential(estimator, trained, {}, small_queries(), 2, 7)
    whole = found_of(trained, groups, small_queries(), **options)
    np.testing.assert_allclose(single.influence_Qk.sum(1), whole[:, 0].numpy(), rtol=1e-8)
    assert sorted(single.index_Qk[0]) == list(range(33, 40))


def minimum(recipe: Recipe, weight_N: torch.Tensor) -> torch.Tensor:
    """Newton's method on (1/N) sum of the weighted losses + LAMBDA |theta|^2 / 2."""
    batch, _ = recipe.data.batch(np.arange(40), recipe.device)
    theta_P = torch.zeros(recipe.task.size)

    def pulled(at: torch.Tensor) -> torch.Tensor:
        return weight_N @ recipe.task.losses(at, batch) / 40 + LAMBDA * at.square().sum() / 2

    for _ in range(8):
        theta_P = theta_P - torch.linalg.solve(hessian(pulled)(theta_P), grad(pulled)(theta_P))
    return theta_P


@pytest.mark.usefixtures("float64")
def test_influence_is_what_a_query_loses_by_weight_of_a_source(tmp_path: Path) -> None:
    small, queries = small_recipe(), small_queries()
    task = TaskSettings(name="classifier", options={"features": 4, "hidden": [], "classes": 2})
    recipe, trajectory = Recipe(task, small.training, small.data, 0), Trajectory(tmp_path)
    trajectory.save(1, State(recipe.task.pieces(minimum(recipe, torch.ones(40))), ()))
    trained = Trained(recipe, trajectory, 1)
    found = found_of(trained, sources(trained), queries, damping=LAMBDA, iterations=10)
    whole = measurements(trained.task, trained.theta_P, queries)
    for source in range(3):
        less_N = 1 - 1e-5 * torch.from_numpy(small.data.source_N == source)
        lost = whole - measurements(trained.task, minimum(recipe, less_N), queries)
        torch.testing.assert_close(found[:, source], lost / 1e-5, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_transformer_is_solved_as_far_as_it_is_asked(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.set_default_dtype(dtype)
    try:
        task = TaskSettings(name="byte_lm", options={"context": 16, "width": 8, "heads": 2, "layers": 1})
        data = TrainingSet.assemble({"a": windows(5, 60), "b": windows(4, 70)})
        recipe = Recipe(task, TrainingSettings(batch_size=8, epochs=1), data, 0)
        trained = Trained(recipe, record(recipe, tmp_path), recipe.steps)
        queries = QueryRows(("x", "y"), windows(3, 65), np.array([0, 0, 1]))
        left = []
        for iterations in (2, 12):
            estimator = build_estimator("conjugate_gradient", {"iterations": iterations})
            gathered = estimator.gather(trained, {}, sources(trained))
            left.append(gathered["residual_G"].max())
            found = estimator.influence(trained, {}, gathered, queries)
            assert found.shape == (2, 2) and found.dtype == dtype and torch.isfinite(found).all()
        assert left[1] < 0.2 * left[0]
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("options", [{"damping": 0.0}, {"iterations": 0}, {"examples": 0}])
def test_options_out_of_range_are_told(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"conjugate_gradient: damping is .* Set damping above 0"):
        build_estimator("conjugate_gradient", options)


class Brier(tribute.Classifier):
    """A loss that bends down in some directions of the outputs."""

    def training_loss(self, model: Model, batch: Batch) -> torch.Tensor:
        wanted = torch.nn.functional.one_hot(batch["labels"], self.classes)
        return (model(batch["features"]).softmax(-1) - wanted).square().mean(-1)


@pytest.mark.parametrize(("damping", "solved"), [(0.001, False), (5.0, True)])
def test_a_loss_that_is_not_convex_in_the_outputs_is_refused_by_its_curvature(
    damping: float, solved: bool
) -> None:
    rng = np.random.default_rng(0)
    by_source = {
        name: {"features": 4 * rng.normal(size=(9, 3)), "labels": rng.integers(0, 3, 9)} for name in ("a", "b")
    }
    training = tribute.TrainingSettings(
        optimizer="sgd", learning_rate=0.01, batch_size=6, epochs=2.0, replicates=1
    )
    study = tribute.Study(Brier(features=3, hidden=(), classes=3), by_source, training=training)
    study.train()
    if solved:
        options = {"damping": damping, "iterations": 60}
        found = study.attribute(by_source["a"], "conjugate_gradient", options=options).influence_QS
        assert np.abs(found).max() > 0
        return
    with pytest.raises(
        ConfigError, match=r"not convex in the model's outputs: .* is -0\.\d+\. Raise the option damping"
    ):
        study.attribute(by_source["a"], "conjugate_gradient", options={"damping": damping})
