"""The same model in every process: what depends on the process is refused."""

import os
import threading

import pytest
import torch
from torch import nn

from tests.unit.tasks.contract.wild import Softmax, examples
from tribute.tasks.contract import check_contract


class Linear(Softmax):
    """Of a module that every process can import."""

    def __init__(self) -> None:
        super().__init__()
        del self.loss, self.measure, self.built

    def build(self) -> nn.Module:
        return nn.Linear(6, 3)

    def training_loss(self, model, batch):
        return self.each(model, batch)

    def measurement(self, model, queries):
        return -self.each(model, queries)


class ByProcess(Linear):
    """Scaled by the number of the process."""

    def build(self) -> nn.Module:
        model = super().build()
        with torch.no_grad():
            model.weight.mul_(1 + os.getpid() / 1e6)
        return model


class Unshareable(Linear):
    """Holds what no other process can have."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Linear, None),
        (ByProcess, "another model in another process"),
        (Unshareable, "cannot be sent to another process"),
    ],
)
def test_the_model_of_another_process_is_the_same_or_refused(task: type[Linear], words: str | None) -> None:
    findings = check_contract(task(), examples())
    if words is None:
        assert findings == []
    else:
        [finding] = findings
        assert (finding.subject, finding.refused) == ("build", True)
        assert words in finding.text
