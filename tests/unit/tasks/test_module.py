"""What `Task.build` does wrong is said by name, wherever the model is built."""

import numpy as np
import pytest
from torch import nn

import tribute
from tribute.errors import ConfigError, CorpusError
from tribute.tasks.module import built

ROWS = {"features": np.zeros((4, 2), np.float32), "labels": np.zeros(4, int)}


class Failing(tribute.Classifier):
    error: Exception = RuntimeError("shape [2, -1]")

    def build(self) -> nn.Module:
        raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError("shape [2, -1]"), TypeError("no such argument"), KeyError("width")]
)
def test_an_error_of_the_users_code_is_a_refusal(error: Exception) -> None:
    task = Failing(features=2)
    object.__setattr__(task, "error", error)
    with pytest.raises(
        ConfigError, match=rf"Task.build fails: {type(error).__name__}: .*Correct the task"
    ) as refused:
        tribute.Study(task, {"a": ROWS, "b": ROWS})
    assert refused.value.__cause__ is error


def test_a_refusal_of_the_task_itself_is_left_as_it_is() -> None:
    task = Failing(features=2)
    object.__setattr__(task, "error", CorpusError("read the corpus first"))
    with pytest.raises(CorpusError, match="read the corpus first"):
        built(task)
