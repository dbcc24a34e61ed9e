"""In-Run Data Shapley against loops over steps and examples, dense Hessians and a differentiated optimizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import hessian

from tests.unit.estimators.small import (
    additive,
    influences,
    loss_gradient,
    query_gradient,
    small_queries,
    small_training,
    sources,
    text_queries,
    text_training,
)
from tests.unit.training.small import small_recipe
from tribute.errors import ConfigError
from tribute.estimators import Groups, Trained, build_estimator, most_influential
from tribute.estimators.replay import replayed
from tribute.readout import QueryRows
from tribute.tasks import joined
from tribute.training import State, Trajectory, record

NAMES = ["in_run_first", "in_run_second", "in_run_optimizer"]
EXACT = {"segments": 10**6}


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)


def naive_first(trained: Trained, queries: QueryRows, reads: str = "loss") -> Tensor:
    """First order of every example, [Q, N]."""
    recipe, found = trained.recipe, torch.zeros(3, len(trained.data))
    for step, state in replayed(trained):
        asked = [query_gradient(recipe, joined(state.theta), queries, query, reads) for query in range(3)]
        asked_QP = torch.stack(asked)
        batch = np.concatenate(recipe.schedule.order.micro_batches(step))
        for example in batch:
            gradient_P = loss_gradient(recipe, joined(state.theta), example) / len(batch)
            found[:, example] -= recipe.schedule.rates[step] * (asked_QP @ gradient_P)
    return found


def naive_curved(trained: Trained, queries: QueryRows) -> Tensor:
    """What the second order adds to every example, [Q, N], by dense Hessians."""
    recipe, found = trained.recipe, torch.zeros(3, len(trained.data))
    for step, state in replayed(trained):
        batch = np.concatenate(recipe.schedule.order.micro_batches(step))
        gradient_BP = torch.stack(
            [loss_gradient(recipe, joined(state.theta), example) / len(batch) for example in batch]
        )
        for query in range(3):
            rows = {k: torch.from_numpy(v[queries.query_N == query]) for k, v in queries.columns.items()}
            bend_PP = hessian(lambda at_P, rows=rows: -recipe.task.losses(at_P, rows).sum())(joined(state.theta))
            found[query, batch] += (
                recipe.schedule.rates[step] ** 2 / 2 * (gradient_BP @ bend_PP @ gradient_BP.sum(0))
            )
    return found


def naive_optimizer(trained: Trained, queries: QueryRows) -> Tensor:
    """Every update as a function of the sources' weights, at held parameters, by backward mode; [Q, S]."""
    recipe, owner_N = trained.recipe, torch.from_numpy(trained.data.source_N)
    weights_S = torch.ones(3, requires_grad=True)
    slots, found = trained.state(0).slots, torch.zeros(3, 3)
    for step, state in replayed(trained):
        batch = np.concatenate(recipe.schedule.order.micro_batches(step))
        gradient_P = sum(
            (weights_S[owner_N[i]] * loss_gradient(recipe, joined(state.theta), i) / len(batch) for i in batch),
            torch.zeros(()),
        )
        rate = float(recipe.schedule.rates[step])
        slope = recipe.task.pieces(gradient_P)
        after = recipe.rule.apply(State(state.theta, slots), slope, rate, step)
        slots = after.slots
        for query in range(3):
            gained = joined(after.theta) @ query_gradient(recipe, joined(state.theta), queries, query, "loss")
            found[query] += torch.autograd.grad(gained, weights_S, retain_graph=True)[0]
    return found


def measured(trained: Trained, theta_P: Tensor) -> Tensor:
    """Minus the loss of every query, [Q]."""
    queries = small_queries()
    rows = {k: torch.from_numpy(v) for k, v in queries.columns.items()}
    value_R = -trained.task.losses(theta_P, rows)
    return torch.zeros(3).index_add_(0, torch.from_numpy(queries.query_N), value_R)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("settings", [{"momentum": 0.0}, {"accumulation": 2}, {"optimizer": "adamw"}])
def test_first_order_is_the_sum_over_steps_and_examples(settings: dict[str, Any], tmp_path: Path) -> None:
    trained, queries = small_training(tmp_path, epochs=2, **settings), small_queries()
    found = influences(build_estimator("in_run_first", EXACT), trained, sources(trained), queries)
    assert_equal(found, additive(trained, naive_first(trained, queries)))


@pytest.mark.usefixtures("float64")
def test_measurements_are_followed_where_asked(tmp_path: Path) -> None:
    trained, queries = small_training(tmp_path, epochs=2), small_queries()
    estimator = build_estimator("in_run_first", EXACT | {"reads": "measurement"})
    found = influences(estimator, trained, sources(trained), queries)
    assert_equal(found, additive(trained, naive_first(trained, queries, "measurement")))


@pytest.mark.usefixtures("float64")
def test_second_order_takes_the_dense_hessian(tmp_path: Path) -> None:
    trained, queries = small_training(tmp_path, learning_rate=1.0, epochs=2), small_queries()
    found = influences(build_estimator("in_run_second", EXACT), trained, sources(trained), queries)
    curved = naive_curved(trained, queries)
    assert curved.abs().max() > 1e-3
    assert_equal(found, additive(trained, naive_first(trained, queries) + curved))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.9, "weight_decay": 0.01},
        {"momentum": 0.9, "nesterov": True, "accumulation": 2},
        {"momentum": 0.5, "clip_norm": 0.2},
        {"optimizer": "adam", "learning_rate": 0.02},
        {"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0.2},
    ],
    ids=["momentum", "nesterov", "clipped", "adam", "adamw"],
)
def test_the_optimizers_own_update(settings: dict[str, Any], tmp_path: Path) -> None:
    trained, queries = small_training(tmp_path, epochs=2, **settings), small_queries()
    found = influences(build_estimator("in_run_optimizer", EXACT), trained, sources(trained), queries)
    assert_equal(found, naive_optimizer(trained, queries))


@pytest.mark.usefixtures("float64")
def test_under_plain_sgd_the_optimizer_changes_nothing(tmp_path: Path) -> None:
    trained, queries = small_training(tmp_path, momentum=0.0), small_queries()
    first, own = (
        influences(build_estimator(name, {"segments": 4}), trained, sources(trained), queries)
        for name in ("in_run_first", "in_run_optimizer")
    )
    assert_equal(own, first)


@pytest.mark.usefixtures("float64")
def test_all_examples_together_explain_what_training_gained(tmp_path: Path) -> None:
    errors = []
    for rate in (0.1, 0.02):
        trained = small_training(tmp_path / str(rate), momentum=0.0, learning_rate=rate)
        everything = Groups(np.zeros(len(trained.data), dtype=np.int64), 1)
        gained_Q = measured(trained, trained.theta_P) - measured(trained, joined(trained.state(0).theta))
        for name in ("in_run_first", "in_run_second"):
            found_Q1 = influences(build_estimator(name, EXACT), trained, everything, small_queries())
            errors.append(float((found_Q1[:, 0] - gained_Q).norm()))
    first, second, finer_first, finer_second = errors
    assert second < 0.05 * first and finer_second < 0.01 * finer_first
    assert first > 15 * finer_first and second > 75 * finer_second  # orders 2 and 3 in the rate


@pytest.mark.usefixtures("float64")
def test_the_optimizers_parts_of_a_training_with_momentum_are_all_of_it(tmp_path: Path) -> None:
    trained = small_training(tmp_path, momentum=0.9)
    found = build_estimator("in_run_optimizer", {}).gather(trained, {}, sources(trained))
    moved_P = trained.theta_P - joined(trained.state(0).theta)
    assert_equal(found["response_CGP"].sum((0, 1)), moved_P)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", NAMES)
def test_a_few_segments_come_close(name: str, tmp_path: Path) -> None:
    trained, queries = small_training(tmp_path, momentum=0.9, epochs=6), small_queries()
    exact = influences(build_estimator(name, EXACT), trained, sources(trained), queries)
    for segments, bound in ((2, 0.1), (10, 0.03)):
        found = influences(build_estimator(name, {"segments": segments}), trained, sources(trained), queries)
        assert (found - exact).norm() < bound * exact.norm()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", NAMES)
def test_text_is_additive_over_examples(name: str, tmp_path: Path) -> None:
    trained, queries = text_training(tmp_path, optimizer="adamw"), text_queries()
    examples = Groups(np.arange(len(trained.data)), len(trained.data))
    estimator = build_estimator(name, EXACT)
    found = influences(estimator, trained, examples, queries)
    of_sources = influences(estimator, trained, sources(trained), queries)
    assert_equal(of_sources, additive(trained, found))
    if name == "in_run_first":
        assert_equal(found, naive_first(trained, queries))
    best = most_influential(estimator, trained, estimator.fit(trained), queries, 1, 2)
    own = found[:, trained.data.source_N == 1].numpy()
    np.testing.assert_array_equal(best.index_Qk, 5 + np.argsort(-own, axis=1)[:, :2])


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_stays_single_and_finite(name: str, tmp_path: Path) -> None:
    recipe = small_recipe(optimizer="adam", eps_root=0.0, eps=1e-8)
    recipe.data.columns["features"][:, 0] = 0  # its weights never get a gradient
    trained = Trained(recipe, record(recipe, tmp_path), recipe.steps)
    found = influences(build_estimator(name, {}), trained, sources(trained), small_queries())
    assert found.dtype is torch.float32 and torch.isfinite(found).all() and (found != 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_work_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"segments is 0. Set it to at least 1"):
        build_estimator(name, {"segments": 0})
    recipe, trajectory = small_recipe(), Trajectory(tmp_path)
    trajectory.save(0, recipe.initial())
    bare = Trained(recipe, trajectory, 0)
    with pytest.raises(ConfigError, match="Use gradient_dot, or record the training"):
        build_estimator(name, {}).gather(bare, {}, sources(bare))
