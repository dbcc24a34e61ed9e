"""Models with layers that are called twice, weights that two layers share, and fused layers, and their trainings.

Legend: N examples, P parameters.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.unit.tasks.contract.wild import CLASSES, COLUMNS, FEATURES, Layers, Softmax, layers
from tribute.config import TrainingSettings
from tribute.estimators import Trained
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet, record

EXAMPLES = 6
"""As many as features, so that a batch cannot be told from the positions by its shape."""
WIDTH = 8


class Transposed(nn.Module):
    """The linear layer of GPT-2, which is known by its name: its weight is [I, O]."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(0.3 * torch.randn(inputs, outputs)),
            nn.Parameter(torch.randn(outputs)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


Transposed.__module__, Transposed.__name__ = "transformers.pytorch_utils", "Conv1D"


class Positions(nn.Module):
    """Features as positions, a layer that mixes them, and a head."""

    def __init__(self, layer: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.expand, self.layer, self.head, self.call = nn.Linear(1, WIDTH), layer, nn.Linear(WIDTH, CLASSES), call

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.call(self.layer, self.expand(x[:, :, None])).mean(1))


class Shared(nn.Module):
    """Two layers with one weight, each with a bias of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES, FEATURES)
        self.last = nn.Linear(FEATURES, CLASSES)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Again(nn.Module):
    """The last layer reads its own outputs once more."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(FEATURES, CLASSES), nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.last(torch.tanh(self.first(x)))))


def twice(model: Layers, x: Tensor) -> Tensor:
    layer = model.extra[0]
    return layer(torch.tanh(layer(x)))


def listed() -> nn.Module:
    """One layer, twice in a list."""
    layer = nn.Linear(FEATURES, FEATURES)
    return nn.Sequential(nn.ModuleList([layer] * 2)[0], nn.Tanh(), layer, nn.Tanh(), nn.Linear(FEATURES, CLASSES))


def named(model: Layers, x: Tensor) -> Tensor:
    return model.extra[0](input=x)


def held(model: Layers, x: Tensor) -> Tensor:
    """A layer that also runs without a gradient."""
    with torch.no_grad():
        fixed = model.extra[0](x)
    return model.extra[0](x) * fixed


def attention(first: bool) -> nn.Module:
    """Attention whose queries, keys and values are one parameter; `first`: positions before examples."""

    def call(layer: nn.Module, x: Tensor) -> Tensor:
        x = x.transpose(0, 1) if first else x
        mixed = layer(x, x, x, need_weights=False)[0]
        return mixed.transpose(0, 1) if first else mixed

    return Positions(nn.MultiheadAttention(WIDTH, 2, batch_first=not first), call)


def turned() -> nn.Module:
    """A linear layer that is given positions first."""
    return Positions(
        nn.Linear(WIDTH, WIDTH), lambda layer, x: torch.tanh(layer(x.transpose(0, 1))).transpose(0, 1)
    )


def fused() -> nn.Module:
    """Queries, keys and values by one layer of GPT-2's kind."""

    def call(layer: nn.Module, x: Tensor) -> Tensor:
        q, k, v = layer(x).chunk(3, -1)
        return (q @ k.transpose(1, 2)).softmax(-1) @ v

    return Positions(Transposed(3 * WIDTH, WIDTH), call)


def inner(between: Callable) -> Callable[[], nn.Module]:
    return layers(between, lambda: nn.Linear(WIDTH, WIDTH))


ALL = {"first.weight", "last.weight", "extra.0.weight"}
CASES: dict[str, tuple[Callable[[], nn.Module], set[str]]] = {
    "called twice": (inner(twice), ALL),
    "twice in a list": (listed, {"0.weight", "4.weight"}),
    "called by name": (inner(named), ALL),
    "held": (inner(held), ALL),
    "one weight of two layers": (Shared, {"last.weight"}),
    "the last layer twice": (Again, {"first.weight", "last.weight"}),
    "fused attention": (lambda: attention(False), {"expand.weight", "head.weight"}),
    "positions first, fused attention": (lambda: attention(True), {"expand.weight", "head.weight"}),
    "positions first": (turned, {"expand.weight", "head.weight"}),
    "fused and transposed": (fused, {"expand.weight", "layer.weight", "head.weight"}),
}
"""A model, and the weights of its layers whose every use is seen."""


def trained_on(build: Callable[[], nn.Module], folder: Path) -> Trained:
    """A short training of a model on a few examples of two sources."""
    columns = {"features": COLUMNS["features"].astype(np.float64), "labels": COLUMNS["labels"]}
    parts = {"a": slice(0, 2), "b": slice(2, EXAMPLES)}
    data = TrainingSet.assemble({name: {k: v[part] for k, v in columns.items()} for name, part in parts.items()})
    training = TrainingSettings(optimizer="sgd", learning_rate=0.1, batch_size=3, epochs=1)
    recipe = Recipe(Softmax(build=build), training, data, 0)
    return Trained(recipe, record(recipe, folder), recipe.steps)


def few() -> QueryRows:
    columns = {"features": COLUMNS["features"][8:10].astype(np.float64), "labels": COLUMNS["labels"][8:10]}
    return QueryRows(("q", "r"), columns, np.arange(2))


def plain(trained: Trained) -> nn.Module:
    """The model in plain PyTorch, with the parameters of the training."""
    module = trained.task.task.build()
    with torch.no_grad():
        for name, value in trained.task.pieces(trained.theta_P).items():
            module.get_parameter(name).copy_(value)
    return module


def likelihoods(module: nn.Module, columns: dict) -> Tensor:
    features, labels = (torch.from_numpy(columns[name]) for name in ("features", "labels"))
    return -functional.cross_entropy(module(features), labels, reduction="none")
