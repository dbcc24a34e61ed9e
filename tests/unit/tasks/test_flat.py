"""Tasks by name: built in, the user's own, and what is refused."""

import pytest
import torch
from torch.func import grad, vmap

from tribute.config import TaskSettings
from tribute.errors import ConfigError
from tribute.tasks import build_task


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
        ("nowhere.at_all:task", {}, "cannot be imported .* put its folder on PYTHONPATH"),
        ("classifier", {"widht": 3}, "options do not fit task 'classifier'.*It takes: features, hidden"),
    ],
)
def test_what_is_not_a_task_is_refused_with_the_remedy(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_task(TaskSettings(name=name, options=options))


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
