"""EK-FAC against dense Kronecker matrices, loops over labels, and the Gauss-Newton matrix itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import hessian, jacrev

from tests.unit.estimators.small import loss_gradient, query_gradient, small_queries, small_training, sources
from tests.unit.tasks.own_task import LeastSquares
from tests.unit.training.small import small_recipe
from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.estimators import Groups, NamedTensors, Trained, build_estimator, most_influential
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet, record

LAYERS = ("0.", "2.")
FLAWS = [{"damping": 0.0}, {"labels": 0}, {"labels": "true"}, {"examples": 0}]


def joined(trained: Trained, flat_P: torch.Tensor, layer: str) -> torch.Tensor:
    """Weight and bias of a layer side by side, [O, I]."""
    pieces = trained.task.pieces(flat_P)
    return torch.cat([pieces[f"{layer}weight"], pieces[f"{layer}bias"][:, None]], 1)


def pseudo_gradients(trained: Trained) -> list[tuple[int, float, torch.Tensor]]:
    """Example, probability and gradient [P] of every label that the model could give out."""
    found = []
    for example in range(len(trained.data)):
        batch, _ = trained.data.batch(np.array([example]), trained.device)
        p = trained.task.outputs(trained.theta_P, batch).softmax(-1)[0]
        for label in range(2):
            at_P = trained.theta_P.clone().requires_grad_()
            loss = trained.task.losses(at_P, {**batch, "labels": torch.tensor([label])}).sum()
            found.append((example, float(p[label]), torch.autograd.grad(loss, at_P)[0]))
    return found


def layer_inputs(trained: Trained, example: int) -> dict[str, torch.Tensor]:
    features = torch.from_numpy(trained.data.columns["features"][example])
    pieces = trained.task.pieces(trained.theta_P)
    hidden = nn.functional.gelu(pieces["0.weight"] @ features + pieces["0.bias"])
    return {"0.": torch.cat([features, torch.ones(1)]), "2.": torch.cat([hidden, torch.ones(1)])}


def dense_curvature(trained: Trained, layer: str) -> torch.Tensor:
    """Q (Lambda + lambda) Q' of a layer as one matrix, of the weight with its bias row by row."""
    drawn, count = pseudo_gradients(trained), len(trained.data)
    inputs = [layer_inputs(trained, example)[layer] for example in range(count)]
    basis_inputs = torch.linalg.eigh(sum(torch.outer(a, a) for a in inputs) / count)[1]
    output_slopes = [(p, joined(trained, gradient_P, layer)[:, -1]) for _, p, gradient_P in drawn]  # bias
    basis_outputs = torch.linalg.eigh(sum(p * torch.outer(s, s) for p, s in output_slopes) / count)[1]
    basis = torch.kron(basis_outputs, basis_inputs)
    turned = [(p, basis.T @ joined(trained, gradient_P, layer).flatten()) for _, p, gradient_P in drawn]
    values = sum(p * slope.square() for p, slope in turned) / count
    return basis @ torch.diag(values) @ basis.T


def naive(trained: Trained, damping: float) -> torch.Tensor:
    """Influence of every example on every query, [Q, N]."""
    count, queries = len(trained.data), small_queries()
    found = torch.zeros(3, count)
    curvatures = [dense_curvature(trained, layer) for layer in LAYERS]
    mean = sum(curvature.trace() for curvature in curvatures) / trained.task.size
    for layer, undamped in zip(LAYERS, curvatures, strict=True):
        curvature = undamped + damping * mean * torch.eye(len(undamped))
        for query in range(3):
            asked = joined(trained, query_gradient(trained.recipe, trained.theta_P, queries, query), layer)
            solved = torch.linalg.solve(curvature, asked.flatten())
            for example in range(count):
                slope = joined(trained, loss_gradient(trained.recipe, trained.theta_P, example), layer)
                found[query, example] -= solved @ slope.flatten() / count
    return found


def text_training(folder: Path, rows: int = 3, letters: int = 7) -> Trained:
    """A transformer on windows of two bytes to foretell, the last of them padded."""
    rng = np.random.default_rng(4)
    tokens = rng.integers(0, letters, (rows, 3)).astype(np.int16)
    tokens[-1, 2] = -1
    data = TrainingSet.assemble({"a": {"tokens": tokens[:2]}, "b": {"tokens": tokens[2:]}})
    task = TaskSettings(
        name="byte_lm", options={"context": 2, "width": 4, "heads": 2, "layers": 1, "vocabulary": letters}
    )
    recipe = Recipe(task, TrainingSettings(batch_size=2, epochs=3, learning_rate=0.03), data, 0)
    return Trained(recipe, record(recipe, folder), recipe.steps)


def gauss_newton_root(trained: Trained) -> torch.Tensor:
    """R, [N V, P], with R' R the sum over examples of J' H J."""
    task, theta_P, found = trained.task, trained.theta_P, []
    for example in range(len(trained.data)):
        batch, _ = trained.data.batch(np.array([example]), trained.device)
        outputs = task.outputs(theta_P, batch)
        jacobian = jacrev(lambda at, batch=batch: task.outputs(at, batch).flatten())(theta_P)
        curved = hessian(
            lambda flat, batch=batch, like=outputs: task.losses_of_outputs(flat.view_as(like), batch)[0]
        )(outputs.flatten())
        values, vectors = torch.linalg.eigh(curved)
        found.append((values.clamp(min=0).sqrt()[:, None] * vectors.T) @ jacobian)
    return torch.cat(found)


def influence_of(trained: Trained, groups: Groups, queries: QueryRows, **options: object) -> torch.Tensor:
    estimator = build_estimator("ekfac", options)
    fitted = estimator.fit(trained)
    return estimator.influence(trained, fitted, estimator.gather(trained, fitted, groups), queries)


def distance(one: NamedTensors, other: NamedTensors, name: str) -> float:
    return float((one[name].sort()[0] - other[name].sort()[0]).norm() / other[name].norm())


@pytest.mark.usefixtures("float64")
def test_influence_equals_that_of_dense_kronecker_matrices(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    expected = naive(trained, 1.0)
    by_source = torch.stack([expected[:, trained.data.source_N == source].sum(1) for source in range(3)], 1)
    found = influence_of(trained, sources(trained), small_queries(), rows=17)  # passes of 17, 17 and 6 examples
    torch.testing.assert_close(found, by_source, rtol=1e-8, atol=1e-10)
    estimator = build_estimator("ekfac", {})
    best = most_influential(estimator, trained, estimator.fit(trained), small_queries(), 1, 4)
    np.testing.assert_allclose(best.influence_Qk, -np.sort(-expected[:, 20:33].numpy())[:, :4], rtol=1e-8)


@pytest.mark.usefixtures("float64")
def test_eigenvalues_are_the_gauss_newton_matrix_in_the_eigenbasis(tmp_path: Path) -> None:
    trained = text_training(tmp_path)
    fitted = build_estimator("ekfac", {"labels": "exact"}).fit(trained)
    root = gauss_newton_root(trained) / len(trained.data) ** 0.5
    by_example = [trained.task.pieces(row) for row in root]
    checked = [name.removeprefix("eigenvalues:") for name in fitted if name.startswith("eigenvalues:")]
    for name in checked:
        if f"inputs:{name}" in fitted:
            bias = name.replace("weight", "bias")
            both = torch.stack([torch.cat([each[name], each[bias][:, None]], 1) for each in by_example])
            turned = fitted[f"outputs:{name}"].T @ both @ fitted[f"inputs:{name}"]
        else:
            turned = torch.stack([each[name] for each in by_example])
        values = fitted[f"eigenvalues:{name}"]
        torch.testing.assert_close(values, turned.square().sum(0), rtol=1e-7, atol=1e-12)
    assert len(checked) == len(trained.task.shapes) - 4  # biases of linear layers are with the weights
    assert sum(name.startswith("inputs:") for name in fitted) == 4  # the linear layers of a block


@pytest.mark.usefixtures("float64")
def test_padding_is_not_seen(tmp_path: Path) -> None:
    trained = text_training(tmp_path)
    fitted = build_estimator("ekfac", {"labels": "exact"}).fit(trained)
    name = "blocks.0.queries_keys_values.weight"
    pieces = trained.task.pieces(trained.theta_P)
    tokens = torch.from_numpy(trained.data.columns["tokens"][:, :2].astype(np.int64))
    taken = nn.functional.layer_norm(
        pieces["embedding.weight"][tokens] + pieces["positions"],
        (4,),
        pieces["blocks.0.norm_attention.weight"],
        pieces["blocks.0.norm_attention.bias"],
    )
    seen = nn.functional.pad(taken.flatten(0, 1)[:-1], (0, 1), value=1.0)  # without padding
    turned = fitted[f"inputs:{name}"].T @ seen.T @ seen @ fitted[f"inputs:{name}"]
    torch.testing.assert_close(turned, torch.diag(turned.diagonal()), rtol=0, atol=1e-10)


@pytest.mark.usefixtures("float64")
def test_drawn_labels_tend_to_all_labels(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    fitted = {n: build_estimator("ekfac", {"labels": n}).fit(trained) for n in (2, 200, "exact")}
    name = "eigenvalues:0.weight"
    few, many = (distance(fitted[labels], fitted["exact"], name) for labels in (2, 200))
    assert many < 0.03 < few < 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_transformer_by_source_and_by_example(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.set_default_dtype(dtype)
    try:
        trained = text_training(tmp_path, 6, 256)
        queries = QueryRows(("x", "y"), {"tokens": np.arange(9).reshape(3, 3)}, np.array([0, 1, 1]))
        whole = influence_of(trained, Groups.of_sources(trained.data, [1, 0]), queries)
        single = influence_of(trained, Groups.of_examples(trained.data, 1), queries)
        assert whole.dtype == dtype and whole.abs().min() > 0
        torch.testing.assert_close(single.sum(1), whole[:, 0], rtol=1e-3, atol=1e-5)
    finally:
        torch.set_default_dtype(torch.float32)


class OwnTask:
    """Cross-entropy of a module that is given, possibly twice."""

    def __init__(self, module: nn.Module, calls: int = 1) -> None:
        self.module, self.calls = module, calls

    def build(self) -> nn.Module:
        return self.module

    def training_loss(self, model, batch):
        outputs = [model(batch["features"]) for _ in range(self.calls)]
        return nn.functional.cross_entropy(sum(outputs), batch["labels"], reduction="none")

    def measurement(self, model, queries):
        return -nn.functional.cross_entropy(model(queries["features"]), queries["labels"], reduction="none")


class Twice(nn.Module):
    """A layer called twice and changed in place, one without bias, two of one weight, one never called."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.bare = nn.Linear(4, 4), nn.Linear(4, 3, bias=False)
        self.lent, self.lending, self.idle = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(2, 2)
        self.lending.weight = self.lent.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.relu(self.twice(nn.functional.relu(self.twice(x), inplace=True)), inplace=True)
        return self.bare(self.lending(torch.tanh(self.lent(hidden))))


def own_training(folder: Path, task: str, **options: object) -> Trained:
    small = small_recipe()
    recipe = Recipe(TaskSettings(name=f"{__name__}:{task}", options=options), small.training, small.data, 0)
    return Trained(recipe, record(recipe, folder), 20)


def twice(calls: int = 1) -> OwnTask:
    return OwnTask(Twice(), calls)


class Prompted(nn.Module):
    """A layer that four learned rows pass through in every batch, and another layer for the examples."""

    def __init__(self) -> None:
        super().__init__()
        self.prompt, self.told, self.read = nn.Parameter(torch.randn(4, 4)), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.read(torch.tanh(x + self.told(self.prompt).sum(0)))


def prompted() -> OwnTask:
    return OwnTask(Prompted())


@pytest.mark.usefixtures("float64")
def test_a_layer_that_only_looks_like_one_of_examples_in_the_last_batch(tmp_path: Path) -> None:
    trained = own_training(tmp_path, "prompted")
    fitted = build_estimator("ekfac", {"rows": 36}).fit(trained)  # 36 examples, then 4: as many as learned rows
    assert {name for name in fitted if name.startswith("inputs:")} == {"inputs:read.weight"}
    root = gauss_newton_root(trained) / 40**0.5
    total = sum(values.sum() for name, values in fitted.items() if name.startswith("eigenvalues:"))
    torch.testing.assert_close(total, root.square().sum(), rtol=1e-9, atol=0)


def regression() -> LeastSquares:
    return LeastSquares(4)


@pytest.mark.usefixtures("float64")
def test_layers_of_every_kind(tmp_path: Path) -> None:
    trained = own_training(tmp_path, "twice")
    fitted = build_estimator("ekfac", {}).fit(trained)
    layers = {name.removeprefix("inputs:") for name in fitted if name.startswith("inputs:")}
    assert layers == {"twice.weight", "bare.weight"}
    root = gauss_newton_root(trained) / 40**0.5
    total = sum(values.sum() for name, values in fitted.items() if name.startswith("eigenvalues:"))
    torch.testing.assert_close(total, root.square().sum(), rtol=1e-9, atol=0)
    assert fitted["eigenvalues:idle.weight"].abs().max() == 0
    assert torch.isfinite(influence_of(trained, sources(trained), small_queries())).all()


def test_a_loss_that_is_no_cross_entropy_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a cross-entropy"):
        build_estimator("ekfac", {}).fit(own_training(tmp_path, "regression"))
    with pytest.raises(ConfigError, match="calls the model 2 times"):
        build_estimator("ekfac", {}).fit(own_training(tmp_path / "twice", "twice", calls=2))


def test_a_loss_that_no_parameter_moves_is_told(tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), build_estimator("ekfac", {})
    flat = {name: torch.zeros_like(kept) for name, kept in estimator.fit(trained).items()}
    with pytest.raises(ConfigError, match="does not depend on the parameters"):
        estimator.gather(trained, flat, sources(trained))


@pytest.mark.parametrize("options", FLAWS)
def test_options_out_of_range_are_told(options: dict) -> None:
    with pytest.raises(ConfigError, match=r"ekfac: damping is .* Set damping above 0"):
        build_estimator("ekfac", options)
