"""A forward pass of training examples: their losses, without dropout, from one call of the model."""

import pytest
import torch
from torch import Tensor

from tests.unit.tasks.own_task import HalvedClassifier, with_dropout
from tribute.errors import ConfigError
from tribute.tasks import Batch, ByteLm, Classifier, FlatTask, Model, WatchedModel


class Twice(Classifier):
    """A classifier whose loss looks at the outputs twice."""

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        return super().training_loss(model, batch) + super().training_loss(model, batch)


def examples() -> dict[str, Tensor]:
    return {"features": torch.randn(5, 4), "labels": torch.tensor([0, 1, 1, 0, 1])}


def test_it_has_minus_the_losses_and_their_errors() -> None:
    task, batch = FlatTask(Classifier(features=4, hidden=(3,), classes=2)), examples()
    theta = task.initial(0)
    seen = WatchedModel(task, theta).loss_pass(batch)
    torch.testing.assert_close(seen.measurement_B, -task.losses(theta, batch))
    right = torch.eye(2)[batch["labels"]] - task.outputs(theta, batch).softmax(-1)
    torch.testing.assert_close(seen.error, right)
    assert [tuple(hidden.shape) for hidden in seen.hidden] == [(5, 3), (5, 4)]


def test_dropout_is_off() -> None:
    task, batch = FlatTask(with_dropout(4)), examples()
    one, other = (WatchedModel(task, task.initial(0)).loss_pass(batch) for _ in range(2))
    assert torch.equal(one.error, other.error)


def test_what_comes_after_the_last_linear_layer_is_no_hidden_state() -> None:
    task = FlatTask(HalvedClassifier(features=4, hidden=(3,), classes=2))
    seen = WatchedModel(task, task.initial(0)).loss_pass(examples())
    assert [tuple(hidden.shape) for hidden in seen.hidden] == [(5, 3), (5, 4)]


def test_shared_embeddings_have_what_the_last_norm_gives_out() -> None:
    task = FlatTask(ByteLm(context=6, width=4, heads=2, layers=1))
    theta, batch = task.initial(0), {"tokens": torch.arange(14).view(2, 7)}
    last = WatchedModel(task, theta).forward_pass(batch).hidden[0]
    expected = task.outputs(theta, batch)
    torch.testing.assert_close(last @ task.pieces(theta)["embedding.weight"].T, expected)


def test_a_loss_that_calls_the_model_twice_is_refused() -> None:
    task = FlatTask(Twice(features=4, hidden=(3,), classes=2))
    with pytest.raises(ConfigError, match=r"The training loss calls the model 2 times.*another estimator"):
        WatchedModel(task, task.initial(0)).loss_pass(examples())
