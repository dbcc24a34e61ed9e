"""AdamW-influence against finite differences, tangents and loops; its proxy against real retraining."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from tests.digits import digits
from tests.unit.estimators.small import (
    additive,
    influences,
    small_queries,
    small_training,
    sources,
    text_queries,
    text_training,
)
from tests.unit.simulation.convex import convex_recipe
from tests.unit.simulation.simulated import simulated, trained
from tests.unit.simulation.test_paired import TRAININGS
from tests.unit.training.small import small_recipe
from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import ConfigError, SimulationError
from tribute.estimators import Groups, Trained, build_estimator
from tribute.readout import QueryRows
from tribute.tasks import joined
from tribute.training import Recipe, State, TrainingSet, Trajectory, record

OPTIMIZERS = [
    {"momentum": 0.0},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"optimizer": "adam", "learning_rate": 0.02, "weight_decay": 0.1, "eps": 1e-8, "eps_root": 1e-6},
    {"optimizer": "adamw", "learning_rate": 0.02, "weight_decay": 0.1, "accumulation": 5},
    {"optimizer": "adamw", "learning_rate": 0.02, "clip_norm": 0.5},
]
IDS = ["sgd", "nesterov", "adam", "adamw", "clipped"]


def recorded(recipe: Recipe, folder: Path) -> Trained:
    return Trained(recipe, record(recipe, folder), recipe.steps)


def softmax_recipe(**training: Any) -> Recipe:
    recipe = small_recipe(**training)
    return replace(
        recipe, task_settings=TaskSettings(name="classifier", options={"features": 4, "hidden": [], "classes": 2})
    )


def ridge_queries() -> QueryRows:
    rng = np.random.default_rng(4)
    columns = {"features": rng.normal(size=(3, 4)), "targets": rng.normal(size=3)}
    return QueryRows(("a", "b", "c"), columns, np.arange(3))


def measured(recipe: Recipe, theta_P: Tensor, queries: QueryRows) -> Tensor:
    rows = {name: torch.from_numpy(value) for name, value in queries.columns.items()}
    value_R = recipe.task.measure(theta_P, rows)
    return torch.zeros(3).index_add_(0, torch.from_numpy(queries.query_N), value_R)


def central_difference(recipe: Recipe, queries: QueryRows, step: float = 1e-5) -> Tensor:
    """Change of each query's measurement by the weight of each source, from two trainings, [Q, S]."""
    columns = []
    for row in torch.eye(3) * step:
        up_Q, down_Q = (measured(recipe, trained(recipe, (1 + sign * row).tolist()), queries) for sign in (1, -1))
        columns.append((up_Q - down_Q) / (2 * step))
    return torch.stack(columns, 1)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ["Ridge", "softmax"])
@pytest.mark.parametrize("settings", OPTIMIZERS, ids=IDS)
def test_it_is_the_central_difference_of_two_replayed_trainings(
    kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    if kind == "softmax":
        recipe, queries = softmax_recipe(batch_size=10, epochs=2, **settings), small_queries()
    else:
        recipe, queries = convex_recipe("Ridge", 2, batch_size=5, **settings), ridge_queries()
    one = recorded(recipe, tmp_path)
    found = influences(build_estimator("adamw_influence", {}), one, sources(one), queries)
    expected = central_difference(recipe, queries)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("settings", TRAININGS[2:4])
def test_with_the_hessian_it_is_so_for_a_perceptron(settings: dict[str, Any], tmp_path: Path) -> None:
    recipe, queries = small_recipe(epochs=2, **settings), small_queries()
    one = recorded(recipe, tmp_path)
    exact = influences(build_estimator("adamw_influence", {"curvature": "hessian"}), one, sources(one), queries)
    torch.testing.assert_close(exact, central_difference(recipe, queries), rtol=1e-4, atol=1e-7)
    newton = influences(build_estimator("adamw_influence", {}), one, sources(one), queries)
    assert 1e-4 < float((newton - exact).norm() / exact.norm()) < 1


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("curvature", "horizon"), [("gauss_newton", 1.0), ("hessian", 0.4)])
def test_responses_to_sources_are_those_of_tangent_simulation(
    curvature: str, horizon: float, tmp_path: Path
) -> None:
    recipe = small_recipe(optimizer="adamw", weight_decay=0.1, clip_norm=0.3, accumulation=2, epochs=2)
    one = recorded(recipe, tmp_path)
    options = {"curvature": curvature, "horizon": horizon}
    found = build_estimator("adamw_influence", options).gather(one, {}, sources(one))["response_GP"]
    expected = simulated(recipe, mode="tangent", **options).response_KP
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.usefixtures("float64")
def test_groups_of_any_examples_are_sums_and_do_not_depend_on_what_fits_at_once(tmp_path: Path) -> None:
    one = small_training(tmp_path, optimizer="adamw", epochs=1)
    examples = Groups(np.arange(len(one.data)), len(one.data))
    few = Groups(np.where(np.arange(len(one.data)) == 5, 1, -1) + (np.arange(len(one.data)) == 30), 2)
    usual, tight = (build_estimator("adamw_influence", each) for each in ({}, {"activation_bytes": 1}))
    found, of_sources = usual.gather(one, {}, examples), usual.gather(one, {}, sources(one))
    summed = torch.zeros(3, one.task.size).index_add_(0, torch.from_numpy(one.data.source_N), found["response_GP"])
    torch.testing.assert_close(of_sources["response_GP"], summed, rtol=1e-9, atol=1e-13)
    alone = tight.gather(one, {}, few)
    for name in ("response_GP", "error_G"):
        torch.testing.assert_close(alone[name], found[name][[30, 5]], rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_text_is_additive_over_examples(tmp_path: Path) -> None:
    one, queries = text_training(tmp_path, optimizer="adamw"), text_queries()
    estimator = build_estimator("adamw_influence", {})
    found = influences(estimator, one, Groups(np.arange(len(one.data)), len(one.data)), queries)
    of_sources = influences(estimator, one, sources(one), queries)
    assert (found != 0).all()
    torch.testing.assert_close(of_sources, additive(one, found), rtol=1e-9, atol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "settings", [{"momentum": 0.9, "accumulation": 2}, {"optimizer": "adamw", "clip_norm": 0.3}]
)
def test_the_proxy_is_a_loop_over_steps_from_predicted_parameters(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    recipe = small_recipe(epochs=1, **settings)
    one = recorded(recipe, tmp_path)
    found = build_estimator("adamw_influence", {"curvature": "hessian"}).gather(one, {}, sources(one))["error_G"]
    initial, states = recipe.initial(), [recipe.initial()]
    recipe.run(initial, range(recipe.steps), torch.ones(3), lambda _, state: states.append(state))
    path_TP = [recipe.task.flatten(state.theta) for state in states]
    for source, change_S in enumerate(torch.eye(3)):
        slots, missed, before_P = initial.slots, 0.0, torch.zeros(recipe.task.size)
        for step in range(recipe.steps):

            def until(weights_S: Tensor, end: int = step + 1) -> Tensor:
                return joined(recipe.run(initial, range(end), weights_S).theta)

            after_P = torch.func.jvp(until, (torch.ones(3),), (change_S,))[1]
            start = State(recipe.task.pieces(path_TP[step] - before_P), slots)
            end = recipe.run(start, range(step, step + 1), 1 - change_S)
            predicted_P = path_TP[step + 1] - after_P
            missed += float((recipe.task.flatten(end.theta) - predicted_P).norm())
            slots, before_P = end.slots, after_P
        assert float(found[source]) == pytest.approx(missed / float(before_P.norm()), rel=1e-6)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("rate", [0.05, 1.0])
def test_in_a_convex_training_by_plain_sgd_the_proxy_bounds_the_error(rate: float, tmp_path: Path) -> None:
    recipe = convex_recipe("Logistic", 10, learning_rate=rate, batch_size=5)
    one = recorded(recipe, tmp_path)
    found = build_estimator("adamw_influence", {}).gather(one, {}, sources(one))
    for source in range(3):
        without_P = trained(recipe, [float(s != source) for s in range(3)])
        response_P = found["response_GP"][source]
        error = float((one.theta_P - without_P - response_P).norm() / response_P.norm())
        assert error <= float(found["error_G"][source]) < 10 * error


def digits_recipe(rate: float, hidden: list[int], optimizer: str) -> tuple[Recipe, QueryRows]:
    def doubled(columns: dict[str, Any]) -> dict[str, Any]:
        return columns | {"features": columns["features"].astype(np.float64)}

    by_source = {name: doubled(each) for name, each in digits({f"s{i}": 20 for i in range(5)}).items()}
    asked = doubled(digits({"queries": 30}, first=1000)["queries"])
    settings = TrainingSettings(optimizer=optimizer, learning_rate=rate, batch_size=20, epochs=4)
    task = TaskSettings(name="classifier", options={"features": 64, "hidden": hidden, "classes": 10})
    recipe = Recipe(task, settings, TrainingSet.assemble(by_source), 0)
    return recipe, QueryRows(tuple(f"q{i}" for i in range(30)), asked, np.arange(30))


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("hidden", "optimizer", "rates"),
    [([], "adamw", (1e-3, 0.3)), ([], "sgd", (0.01, 3.0)), ([16], "adamw", (1e-3, 0.1))],
    ids=["logistic", "logistic by sgd", "perceptron"],
)
def test_the_proxy_ranks_trainings_of_other_rates_by_their_real_error(
    hidden: list[int], optimizer: str, rates: tuple[float, float], tmp_path: Path
) -> None:
    """Proxy and relative error of the influences against retraining without each source, means over sources."""
    estimator, proxy, real, by_source = build_estimator("adamw_influence", {}), [], [], []
    for rate in np.geomspace(*rates, 20).tolist():
        recipe, queries = digits_recipe(rate, hidden, optimizer)
        one = recorded(recipe, tmp_path / str(rate))
        gathered = estimator.gather(one, {}, sources(one))
        found_QS = estimator.influence(one, {}, gathered, queries)
        rows = {name: torch.from_numpy(value) for name, value in queries.columns.items()}
        left = simulated(recipe).response_KP  # whole trainings without each source
        lost = [
            one.task.measure(one.theta_P, rows) - one.task.measure(one.theta_P - each_P, rows) for each_P in left
        ]
        real_QS = torch.stack(lost, 1)
        error_S = (found_QS - real_QS).norm(dim=0) / real_QS.norm(dim=0)
        proxy.append(float(gathered["error_G"].mean()))
        real.append(float(error_S.mean()))
        by_source.append(spearmanr(gathered["error_G"], error_S).statistic)
    found = spearmanr(proxy, real).statistic
    print(f"proxy and error over 20 rates: {found:.3f}; over the sources of a training: {np.mean(by_source):.3f}")
    print([(round(p, 2), round(r, 2)) for p, r in zip(proxy, real, strict=True)])
    assert found > 0.7


def test_single_precision_stays_single_and_finite(tmp_path: Path) -> None:
    recipe = small_recipe(optimizer="adam", eps_root=0.0, eps=1e-8)
    recipe.data.columns["features"][:, 0] = 0  # its weights never get a gradient
    one = recorded(recipe, tmp_path)
    found = influences(build_estimator("adamw_influence", {}), one, sources(one), small_queries())
    assert found.dtype is torch.float32 and torch.isfinite(found).all() and (found != 0).all()


def test_a_group_without_which_training_fails_has_an_infinite_error(tmp_path: Path) -> None:
    """Without alpha, feature 0 is always 0: Adam without eps divides 0 by 0."""
    recipe = small_recipe(optimizer="adam", eps_root=0.0)
    recipe.data.columns["features"][20:, 0] = 0
    recipe = replace(recipe, training=recipe.training.model_copy(update={"batch_size": 40}))
    error_G = build_estimator("adamw_influence", {}).gather(one := recorded(recipe, tmp_path), {}, sources(one))
    assert torch.isfinite(error_G["error_G"]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"horizon": 0.0}, r"horizon is 0 .*Set horizon above 0"),
        ({"horizon": 1.5}, r"horizon is 1.5 .*up to 1"),
        ({"curvature": "fisher"}, r"'fisher'\. Set it to one of gauss_newton, hessian"),
    ],
)
def test_options_that_cannot_work_are_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=f"^adamw_influence: .*{told}"):
        build_estimator("adamw_influence", options)


def test_trainings_that_cannot_work_are_told(tmp_path: Path) -> None:
    recipe, trajectory = small_recipe(), Trajectory(tmp_path / "bare")
    trajectory.save(0, recipe.initial())
    bare = Trained(recipe, trajectory, 0)
    with pytest.raises(ConfigError, match=r"no recorded steps\. Use gradient_dot, or record the training"):
        build_estimator("adamw_influence", {}).gather(bare, {}, sources(bare))
    wild = recorded(convex_recipe("Ridge", 40, learning_rate=2.7e7), tmp_path / "wild")  # ends at 1e307
    with pytest.raises(SimulationError, match=r"no longer finite at step \d+ of 40\. .*shorten the horizon"):
        build_estimator("adamw_influence", {}).gather(wild, {}, sources(wild))
