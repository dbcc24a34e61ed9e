"""Gradients of many trajectories in one pass against those of each alone."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad

from tribute.tasks import Batch, ByteLm, Classifier, FlatTask, Model, Scope, joined, seeded

pytestmark = pytest.mark.usefixtures("float64")
TRAJECTORIES = 3


class Words:
    """A task over tokens whose model is a given one, of 12 tokens."""

    def __init__(self, model: type[nn.Module]) -> None:
        self._model = model

    def build(self) -> nn.Module:
        return self._model()

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        return -model(batch["tokens"]).log_softmax(-1)[..., 0].mean(1)

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        return model(queries["tokens"]).log_softmax(-1)[..., 0].sum(1)


class Block(nn.Module):
    """Attention in its fused kernel, normalisation and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mixed, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        q, k, v = self.mixed(self.norm(x)).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        return x + scale * self.dropout(self.out(mixed))


class Tied(nn.Module):
    """Padding, positions that all rows share, two blocks, and one matrix for inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.positions = nn.Embedding(12, 8, padding_idx=0), nn.Embedding(6, 8)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(8, 12, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.positions(torch.arange(tokens.shape[1])[None])
        for block in self.blocks:
            x = block(x, torch.ones(len(tokens), 1, 1) / 2)
        return self.head(x)


class Raw(nn.Module):
    """A model that looks at the parameters of a layer behind its back."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.mixed = nn.Embedding(12, 8), nn.Linear(8, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.mixed(self.embedding(tokens)) @ self.embedding.weight.T


class Coupled(nn.Module):
    """A model whose rows look at one another."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.mixed = nn.Embedding(12, 8), nn.Linear(8, 12)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        return self.mixed(x - x.mean(0))


def batch_of(task: object, rows: int) -> dict[str, Tensor]:
    if isinstance(task, Classifier):
        return {"features": torch.randn(rows, 4), "labels": torch.arange(rows) % 2}
    return {"tokens": torch.arange(rows * 6).view(rows, 6) * 5 % 12}


def alone(task: FlatTask, theta: Mapping[str, Tensor], own: Mapping[str, Tensor], batch: Batch, weights: Tensor):
    def loss(at: Mapping[str, Tensor]) -> Tensor:
        with seeded(7, torch.device("cpu")):
            return (weights * task.losses_at({**theta, **at}, batch)).mean()

    return grad(loss)(dict(own))


TASKS = [
    (ByteLm(context=5, width=8, heads=2, layers=2, vocabulary=12), "last_block", "blocks.1"),
    (Words(Tied), "last_block", "blocks.1"),
    (Words(Tied), "all", ""),
    (Words(Tied), r"1\.out", "blocks.1"),
    (Words(Raw), "mixed", "mixed"),
    (Classifier(features=4, hidden=(5,), classes=2), "all", "0"),
    (Classifier(features=4, hidden=(5,), classes=2), "head", "2"),
]


@pytest.mark.parametrize(("own_task", "scope", "fork"), TASKS)
@pytest.mark.parametrize("rows", [1, 2, 3, 6])
def test_folded_gradients_are_those_of_each_trajectory(own_task, scope: str, fork: str, rows: int) -> None:
    task = FlatTask(own_task)
    theta, chosen = task.pieces(task.initial(0)), Scope(task, scope)
    torch.manual_seed(rows)
    own = {n: value + 0.1 * torch.randn(TRAJECTORIES, *value.shape) for n, value in chosen.part(theta).items()}
    batch, weights_KB = batch_of(own_task, rows), torch.rand(TRAJECTORIES, rows)
    found = chosen.task_at(theta).gradients_at(own, batch, weights_KB, 7)
    assert found is not None
    if rows > 1:  # a single row fits beside any number of others
        assert [*task.together(chosen.names)._known.values()] == [fork]
    for row in range(TRAJECTORIES):
        expected = alone(task, theta, {n: value[row] for n, value in own.items()}, batch, weights_KB[row])
        torch.testing.assert_close(joined(found, 1)[row], joined(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("own_task", "scope"),
    [(Words(Raw), "embedding"), (Words(Coupled), "embedding"), (ByteLm(5, 8, 2, 2, 12), "all")],
)
def test_what_cannot_be_folded_is_left_to_each_trajectory(own_task, scope: str) -> None:
    task = FlatTask(own_task)
    theta, chosen = task.pieces(task.initial(0)), Scope(task, scope)
    own = {name: value.expand(TRAJECTORIES, *value.shape) for name, value in chosen.part(theta).items()}
    batch, weights_KB = batch_of(own_task, 4), torch.ones(TRAJECTORIES, 4)
    assert chosen.task_at(theta).gradients_at(own, batch, weights_KB, 7) is None


def test_a_model_that_parts_later_for_one_row_parts_earlier_for_several() -> None:
    task = FlatTask(Words(Tied))
    theta, chosen = task.pieces(task.initial(0)), Scope(task, r"1\.out")
    own = {name: value.expand(TRAJECTORIES, *value.shape) for name, value in chosen.part(theta).items()}
    for rows in (1, 4):
        weights_KB = torch.ones(TRAJECTORIES, rows)
        assert chosen.task_at(theta).gradients_at(own, batch_of(task.task, rows), weights_KB, 7) is not None
    assert [*task.together(chosen.names)._known.values()] == ["blocks.1.out", "blocks.1"]


def test_frozen_parameters_are_those_of_the_task() -> None:
    task = FlatTask(Words(Raw))
    other = task.with_frozen({})
    assert other.together(("mixed.weight",)) is not task.together(("mixed.weight",))
    assert task.evaluated.together(("mixed.weight",)) is not task.together(("mixed.weight",))
