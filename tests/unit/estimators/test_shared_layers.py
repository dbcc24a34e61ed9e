"""Layers that are called twice, weights that two layers share, and fused layers: against plain gradients.

Legend: N examples, Q queries, V outputs, P parameters.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import hessian, jacrev
from torch.nn import functional

from tests.unit.estimators.small import influences, sources, text_training
from tests.unit.tasks.contract.wild import CLASSES, COLUMNS, FEATURES, Layers, Softmax, layers
from tribute.config import TrainingSettings
from tribute.estimators import Trained, build_estimator
from tribute.estimators.gradients import example_gradients
from tribute.estimators.layers import layer_pass, linear_layers
from tribute.readout import QueryRows
from tribute.tasks import ByteLm, FlatTask
from tribute.training import Recipe, TrainingSet, record

EXAMPLES = 6
"""As many as features, so that a batch cannot be told from the positions by its shape."""
WIDTH = 8

pytestmark = pytest.mark.usefixtures("float64")


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


class Factored(nn.Module):
    """Outputs by a function of a weight that a linear layer has made the states for."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(FEATURES, WIDTH), nn.Parameter(torch.randn(CLASSES, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.first(x), self.head)


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


def gradient(module: nn.Module, likelihood: Tensor) -> Tensor:
    """By all parameters, [P], each once and summed over its uses."""
    return torch.cat(
        [each.flatten() for each in torch.autograd.grad(likelihood, [*module.parameters()], retain_graph=True)]
    )


def likelihoods(module: nn.Module, columns: dict) -> Tensor:
    features, labels = (torch.from_numpy(columns[name]) for name in ("features", "labels"))
    return -functional.cross_entropy(module(features), labels, reduction="none")


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_plain_torch(name: str, tmp_path: Path) -> None:
    trained = trained_on(CASES[name][0], tmp_path)
    module, queries = plain(trained), few()
    known = [gradient(module, each) for each in likelihoods(module, dict(trained.data.columns))]
    asked = [gradient(module, each) for each in likelihoods(module, dict(queries.columns))]
    [(_, found_NP)] = example_gradients(trained, trained.theta_P, np.arange(EXAMPLES))
    torch.testing.assert_close(found_NP, -torch.stack(known), rtol=1e-9, atol=1e-12)
    dots = torch.stack(asked) @ torch.stack([sum(known[:2]), sum(known[2:])]).T  # type: ignore[arg-type]
    found_QG = influences(build_estimator("gradient_dot", {}), trained, sources(trained), queries)
    torch.testing.assert_close(found_QG, dots, rtol=1e-9, atol=1e-12)


def gauss_newton_root(trained: Trained) -> Tensor:
    """R [N V, P], with R' R the mean over examples of J' H J, one example after another."""
    task, found = trained.task, []
    for n in range(EXAMPLES):
        batch, _ = trained.data.batch(np.array([n]), trained.device)
        outputs = task.outputs(trained.theta_P, batch)[0].detach()
        curved = hessian(lambda z, b=batch: functional.cross_entropy(z[None], b["labels"]))(outputs)
        values, vectors = torch.linalg.eigh(curved)
        jacobian = jacrev(lambda at, b=batch: task.outputs(at, b)[0])(trained.theta_P)
        found.append((values.clamp(min=0).sqrt()[:, None] * vectors.T) @ jacobian)
    return torch.cat(found) / EXAMPLES**0.5


@pytest.mark.parametrize("name", CASES)
def test_ekfac_sees_every_use_of_a_weight_or_says_so(name: str, tmp_path: Path) -> None:
    build, factored = CASES[name]
    trained, ekfac = trained_on(build, tmp_path), build_estimator("ekfac", {"labels": "exact"})
    fitted = ekfac.fit(trained)
    assert {each.removeprefix("inputs:") for each in fitted if each.startswith("inputs:")} == factored
    pieces = [trained.task.pieces(row) for row in gauss_newton_root(trained)]
    own = {each.removeprefix("eigenvalues:") for each in fitted if each.startswith("eigenvalues:")}
    for weight in own:
        rows = torch.stack([each[weight] for each in pieces])
        if weight in factored:
            rows = rows.transpose(1, 2) if "transposed" in name and weight == "layer.weight" else rows
            biases = torch.stack([each[weight.replace("weight", "bias")] for each in pieces])
            rows = (
                fitted[f"outputs:{weight}"].T
                @ torch.cat([rows, biases[..., None]], 2)
                @ fitted[f"inputs:{weight}"]
            )
        torch.testing.assert_close(fitted[f"eigenvalues:{weight}"], rows.square().sum(0), rtol=1e-8, atol=1e-12)
    inside = factored | {each.replace("weight", "bias") for each in factored}
    assert own == factored | (set(trained.task.shapes) - inside)
    said = ekfac.coverage(trained, fitted)
    assert all(each in said for each in own - factored) and bool(said) == bool(own - factored)


class Looped(ByteLm):
    """A transformer that calls one block twice."""

    def build(self) -> nn.Module:
        model = super().build()
        model.blocks = nn.ModuleList([model.blocks[0]] * 2)
        return model


def test_padding_does_not_count_in_any_call() -> None:
    task = FlatTask(Looped(context=4, width=4, heads=2, layers=1))
    batch = {"tokens": torch.tensor([[7, 8, 9, 1, 2], [3, 4, 5, -1, -1]])}
    seen = layer_pass(task, task.initial(0), batch, linear_layers(task))
    assert len(seen.inputs) == 4
    for weight, input_BTI in seen.inputs.items():
        counted_BTI = seen.counted_inputs(weight)
        assert counted_BTI.shape[:2] == (2, 8) and (counted_BTI[0] == input_BTI[0]).all()
        [positions] = counted_BTI[1].any(1).nonzero(as_tuple=True)
        assert positions.tolist() == [0, 1, 4, 5]


def last_use(trained: Trained, layer: str) -> Tensor:
    """Dots of gradients by the last layer's weight, in its last use alone, [Q, N]."""
    module, inputs = plain(trained), list[Tensor]()
    last = module.get_submodule(layer)
    last.register_forward_hook(lambda _, given, __: inputs.append(given[0].detach()))

    def slopes(columns: dict) -> Tensor:
        likelihoods(module, columns)
        weight, found = last.weight.detach().clone().requires_grad_(), []
        for state, label in zip(inputs[-1], torch.from_numpy(columns["labels"]), strict=True):
            likelihood = functional.linear(state, weight, last.bias).log_softmax(-1)[label]
            found.append(torch.autograd.grad(likelihood, weight)[0].flatten())
        return torch.stack(found)

    return slopes(dict(few().columns)) @ slopes(dict(trained.data.columns)).T


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("called twice", "gradients of last.weight alone, 15.5% of the parameters"),
        (
            "the last layer twice",
            "gradients of last.weight alone, 27.3% of the parameters; uses of this weight before",
        ),
        ("fused attention", "gradients of head.weight alone"),
        ("called by name", "gradients of last.weight alone"),
    ],
)
def test_for_value_has_the_last_use_and_says_so(name: str, said: str, tmp_path: Path) -> None:
    trained, for_value = trained_on(CASES[name][0], tmp_path), build_estimator("for_value", {})
    found = influences(for_value, trained, sources(trained), few())
    expected = last_use(trained, said.split()[2].removesuffix(".weight"))
    torch.testing.assert_close(found[:, 0], expected[:, :2].sum(1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found[:, 1], expected[:, 2:].sum(1), rtol=1e-9, atol=1e-12)
    assert said in for_value.coverage(trained, {})
    assert ("uses of this weight" in for_value.coverage(trained, {})) == ("uses" in said)


def test_for_value_says_which_use_of_a_tied_weight_counts(tmp_path: Path) -> None:
    said = build_estimator("for_value", {}).coverage(text_training(tmp_path), {})
    assert "gradients of embedding.weight alone" in said and "uses of this weight before the last layer" in said


def test_for_value_says_that_its_products_are_no_gradient(tmp_path: Path) -> None:
    said = build_estimator("for_value", {}).coverage(trained_on(Factored, tmp_path), {})
    assert "are the gradient of no trained weight" in said
