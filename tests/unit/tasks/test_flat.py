"""Tasks by name: built in, the user's own, and what is refused."""

import pytest
import torch

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
        ("gpt5", {}, "Task 'gpt5' is unknown. Built in: byte_lm, classifier"),
        ("nowhere.at_all:task", {}, "cannot be imported .* put its folder on PYTHONPATH"),
        ("classifier", {"widht": 3}, "options do not fit task 'classifier'.*It takes: features, hidden"),
    ],
)
def test_what_is_not_a_task_is_refused_with_the_remedy(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_task(TaskSettings(name=name, options=options))
