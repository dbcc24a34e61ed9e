"""Tasks by name: built in, the user's own, and what is refused; training and measuring in bfloat16."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from tests.unit.simulation.simulated import simulated, trained
from tests.unit.training.small import small_recipe
from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.tasks import build_task, joined
from tribute.training import Recipe, TrainingSet, gradient


def test_a_users_own_factory_is_a_task() -> None:
    task = build_task(TaskSettings(name="tests.unit.tasks.own_task:linear", options={"features": 3}))
    assert task.size == 4
    rows = {"features": torch.randn(2, 3), "labels": torch.tensor([0, 1])}
    theta = torch.tensor([1.0, 2.0, 3.0, 0.5])
    expected = -((rows["features"] @ theta[:3] + 0.5 - rows["labels"]) ** 2)
    torch.testing.assert_close(task.measure(theta, rows), expected)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gpt5", {}, "Task 'gpt5' is unknown. Use a built-in task .byte_lm, classifier"),
        ("nowhere.at_all:task", {}, "cannot be imported .* put its file beside project.yaml"),
        ("tests.unit.tasks.own_task:with_bufer", {}, "own_task has no with_bufer. Did you mean with_buffer?"),
        ("tests.unit.tasks.own_task:ending", {}, "cannot be built: SystemExit: 0. Correct the task"),
        ("classifier", {"widht": 3}, "options do not fit task 'classifier'.*It takes: features, hidden"),
    ],
)
def test_what_is_not_a_task_is_refused_with_the_remedy(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_task(TaskSettings(name=name, options=options))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit(0)", "SystemExit: 0.. A module of a task only defines"),
        ("import argparse; argparse.ArgumentParser().parse_args(['--wrong'])", "SystemExit: 2.. A module"),
        ("def (", "SyntaxError: invalid syntax .* Correct the module"),
        ("1 / 0", "ZeroDivisionError: division by zero.. Correct the module"),
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'.. Install its package"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused_by_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    (tmp_path / "failing_module.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=f"Task 'failing_module:Task' cannot be imported .{message}"):
        build_task(TaskSettings(name="failing_module:Task"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_frozen_parameters_and_buffers_follow_theta_to_its_device(precision: str) -> None:
    settings = TaskSettings(name="tests.unit.tasks.own_task:with_buffer", options={"features": 3})
    task = build_task(settings, precision)
    theta, rows = (
        torch.tensor([1.0, 2.0, 4.0, 0.5]),
        {"features": torch.ones(2, 3), "labels": torch.tensor([17, 0])},
    )
    torch.testing.assert_close(task.losses(theta, rows), torch.tensor([0.5, 17.5]) ** 2)
    elsewhere = {name: column.to("meta") for name, column in rows.items()}
    for found in (task.losses(theta.to("meta"), elsewhere), task.measure(theta.to("meta"), elsewhere)):
        assert (found.device.type, found.shape) == ("meta", (2,))
    torch.testing.assert_close(task.measure(theta, rows), -(torch.tensor([0.5, 17.5]) ** 2))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_evaluated_losses_are_in_full_precision_and_without_dropout(precision: str) -> None:
    settings = TaskSettings(name="tests.unit.tasks.own_task:with_dropout", options={"features": 3})
    task = build_task(settings, precision)
    theta = task.initial(0)
    rows = {"features": torch.randn(5, 3), "labels": torch.tensor([0, 1, 1, 0, 1])}
    assert torch.equal(task.evaluated.losses(theta, rows), -task.measure(theta, rows))
    assert not torch.equal(task.losses(theta, rows), task.losses(theta, rows))
    assert task.evaluated.outputs(theta, rows).shape == (5, 1)


def test_what_is_copied_to_a_device_inside_a_transform_is_a_plain_tensor() -> None:
    task = build_task(TaskSettings(name="tests.unit.tasks.own_task:with_buffer", options={"features": 3}))
    rows = {"features": torch.ones(2, 3, device="meta"), "labels": torch.ones(2, device="meta")}
    theta_KP = torch.zeros(5, 4, device="meta")
    assert vmap(grad(lambda theta: task.losses(theta, rows).sum()))(theta_KP).shape == (5, 4)
    held = task._held[torch.device("meta")]
    assert sorted(held) == ["frozen", "shift"]
    assert not any(torch._C._functorch.is_functorch_wrapped_tensor(value) for value in held.values())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"features": torch.ones(2, 3)}, "needs column 'labels', but the queries have features. Add"),
        (
            {"features": torch.ones(2, 3), "labels": torch.ones(2, 1)},
            r"returns shape \(2, 2\) for 2 queries, expected \(2,\)",
        ),
    ],
)
def test_queries_that_a_measurement_cannot_take_are_refused(columns: dict, message: str) -> None:
    task = build_task(TaskSettings(name="tests.unit.tasks.own_task:linear", options={"features": 3}))
    with pytest.raises(ConfigError, match=message):
        task.measure(torch.ones(4), columns)


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
    assert torch.equal(joined(state.theta), joined(rounded.initial().theta))
    micro_batches = exact.micro_batches(exact.schedule.order, 0, torch.ones(3))
    slopes = [joined(gradient(recipe.task, state.theta, micro_batches)) for recipe in (exact, rounded)]
    losses = [recipe.task.losses(joined(state.theta), micro_batches[0].batch) for recipe in (exact, rounded)]
    for one, other in (slopes, losses):
        assert one.dtype == other.dtype == torch.float32
        assert 1e-5 < float((one - other).norm() / one.norm()) < 0.03
    whole = rounded.run(state, range(rounded.steps), torch.ones(3))
    assert {value.dtype for value in whole.tensors().values()} == {torch.float32}
    begun, ended = joined(state.theta), joined(whole.theta)
    assert float((ended - trained(exact)).norm() / (trained(exact) - begun).norm()) < 0.1


@pytest.mark.parametrize("make", RECIPES)
def test_measurements_do_not_change(make) -> None:
    exact, rounded = make(), make(precision="bfloat16")
    theta_P = joined(exact.initial().theta)
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
