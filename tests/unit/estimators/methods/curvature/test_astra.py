"""ASTRA against dense solves with its damping written out, EK-FAC as its start, and its refusals."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.estimators.methods.curvature.test_conjugate_gradient import asked, gauss_newton, summed_losses
from tests.unit.estimators.small import influences, small_queries, small_training, sources
from tests.unit.estimators.test_layers import again, plain, trained_with
from tests.unit.training.small import small_recipe
from tribute.errors import ConfigError
from tribute.estimators import Trained, build_estimator, most_influential
from tribute.tasks import joined
from tribute.training import Trajectory

MOMENTUM = 0.9  # of the small training


def damping(trained: Trained) -> torch.Tensor:
    """lambda of every parameter, [P], from the rates and moments of the recorded steps."""
    reach, rates = torch.zeros(trained.task.size), trained.recipe.schedule.rates
    for start, end in pairwise(trained.trajectory.steps()):
        for step in range(start, end):
            if trained.recipe.training.optimizer == "sgd":
                reach += rates[step] / (1 - MOMENTUM)
            else:
                second = joined(trained.state(end).slots[1]) / (1 - 0.99**end)
                reach += rates[step] / (second + trained.recipe.training.eps_root).sqrt()
    return 1 / reach


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("training", "multiple"),
    [({}, 1.0), ({"optimizer": "adamw", "learning_rate": 0.01}, 3.0)],
    ids=["sgd", "adamw"],
)
def test_all_iterations_solve_exactly(training: dict[str, Any], multiple: float, tmp_path: Path) -> None:
    trained = small_training(tmp_path, **training)
    damped = gauss_newton(trained, np.arange(40)) + torch.diag(multiple * damping(trained))
    expected = -asked(trained) @ torch.linalg.solve(damped, summed_losses(trained, sources(trained))) / 40
    estimator = build_estimator("astra", {"damping": multiple, "iterations": 40, "rows": 20})
    found = influences(estimator, trained, sources(trained), small_queries())
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-10)


@pytest.mark.usefixtures("float64")
def test_it_starts_at_the_solution_of_ekfac(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    fitted = build_estimator("ekfac", {}).fit(trained)
    mean = torch.cat([kept.flatten() for name, kept in fitted.items() if name.startswith("eigenvalues:")]).mean()
    [own] = damping(trained).unique()
    ekfac, start = (
        influences(build_estimator(name, options), trained, sources(trained), small_queries())
        for name, options in (("ekfac", {"damping": float(own / mean)}), ("astra", {"iterations": 0}))
    )
    torch.testing.assert_close(start, ekfac, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_each_iteration_ends_nearer(tmp_path: Path) -> None:
    trained, left = small_training(tmp_path), []
    for iterations in (0, 2, 4):
        estimator = build_estimator("astra", {"iterations": iterations})
        gathered = estimator.gather(trained, estimator.fit(trained), sources(trained))
        left.append(float(gathered["residual_G"].max()))
    assert left[1] < 0.2 * left[0] and left[2] < 0.2 * left[1]


@pytest.mark.usefixtures("float64")
def test_a_source_is_the_sum_of_its_examples_once_solved(tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), build_estimator("astra", {"iterations": 40})
    single = most_influential(estimator, trained, estimator.fit(trained), small_queries(), 2, 7)
    whole = influences(estimator, trained, sources(trained), small_queries())
    np.testing.assert_allclose(single.influence_Qk.sum(1), whole[:, 2].numpy(), rtol=1e-8)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["astra", "conjugate_gradient"])
def test_solving_for_queries_gives_the_same_once_solved(name: str, tmp_path: Path) -> None:
    trained, options = small_training(tmp_path), {"iterations": 40}
    by_group, by_query = (
        influences(build_estimator(name, options | more), trained, sources(trained), small_queries())
        for more in ({}, {"solve_for": "queries"})
    )
    torch.testing.assert_close(by_query, by_group, rtol=1e-6, atol=1e-10)


@pytest.mark.usefixtures("float64")
def test_solved_for_queries_a_source_is_the_sum_of_its_examples_at_once(tmp_path: Path) -> None:
    trained, estimator = (
        small_training(tmp_path),
        build_estimator("astra", {"iterations": 2, "solve_for": "queries"}),
    )
    single = most_influential(estimator, trained, estimator.fit(trained), small_queries(), 2, 7)
    whole = influences(estimator, trained, sources(trained), small_queries())
    np.testing.assert_allclose(single.influence_Qk.sum(1), whole[:, 2].numpy(), rtol=1e-8)


@pytest.mark.parametrize("name", ["astra", "conjugate_gradient"])
def test_what_is_solved_for_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: solve_for is 'all'. Set it to one of groups, queries"):
        build_estimator(name, {"solve_for": "all"})


def test_single_precision_stays_single(tmp_path: Path) -> None:
    trained = small_training(tmp_path, optimizer="adam")
    found = influences(build_estimator("astra", {}), trained, sources(trained), small_queries())
    assert found.dtype is torch.float32 and torch.isfinite(found).all() and (found != 0).all()


@pytest.mark.parametrize(("between", "said"), [(plain, ""), (again, "a diagonal for first.weight, first.bias")])
@pytest.mark.parametrize("name", ["astra", "source"])
def test_hidden_uses_of_a_weight_are_said_as_by_ekfac(name: str, between: Any, said: str, tmp_path: Path) -> None:
    trained, found = trained_with(between, tmp_path), {}
    for each in ("ekfac", name):
        estimator = build_estimator(each, {"rows": 20})
        found[each] = estimator.coverage(trained, estimator.fit(trained))
    assert found[name] == found["ekfac"].replace("ekfac", name) and said in found[name]


@pytest.mark.parametrize("options", [{"damping": 0.0}, {"labels": "few"}, {"factor_examples": 0}, {"rows": 0}])
def test_options_of_ekfac_out_of_range_are_told(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"astra: damping is .* Set damping above 0"):
        build_estimator("astra", options)


@pytest.mark.parametrize("options", [{"iterations": -1}, {"examples": 0}, {"product_bytes": 0}])
def test_options_of_the_iterations_out_of_range_are_told(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"astra: iterations is .* Set iterations to at least 0"):
        build_estimator("astra", options)


@pytest.mark.parametrize("name", ["astra", "source"])
def test_a_bare_checkpoint_has_no_steps_and_is_refused(name: str, tmp_path: Path) -> None:
    recipe, trajectory = small_recipe(), Trajectory(tmp_path)
    trajectory.save(0, recipe.initial())
    with pytest.raises(ConfigError, match=rf"{name} needs the steps of the training, .* Use ekfac, or record"):
        build_estimator(name, {}).fit(Trained(recipe, trajectory, 0))
