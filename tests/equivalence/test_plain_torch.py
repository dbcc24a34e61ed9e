"""Models as people write them: influences equal those of training in plain PyTorch without each source."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import tribute
from tribute.training import Recipe

FEATURES, CLASSES = 6, 3
_RNG = np.random.default_rng(0)


def _rows(count: int) -> dict[str, np.ndarray]:
    features = _RNG.normal(size=(count, FEATURES)).astype(np.float32)
    return {"features": features, "labels": (features[:, :CLASSES] + 0.1).argmax(1)}


BY_SOURCE = {"a": _rows(14), "b": _rows(22), "c": _rows(9)}
QUERIES = _rows(8)
Build = Callable[[], nn.Module]


class Task:
    """Cross-entropy of what a model gives out, which may be the first of a tuple or an entry of a dict."""

    def __init__(self, build: Build, smoothing: float = 0.0, autocast: bool = False) -> None:
        self.built, self.smoothing, self.autocast = build, smoothing, autocast

    def build(self) -> nn.Module:
        return self.built()

    def losses(self, model: Callable[..., object], rows: dict[str, Tensor], smoothing: float) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            found = model(rows["features"])
        found = found[0] if isinstance(found, tuple) else found["logits"] if isinstance(found, dict) else found
        logits = found.to(torch.float32) if found.dtype == torch.bfloat16 else found
        return functional.cross_entropy(logits, rows["labels"], reduction="none", label_smoothing=smoothing)

    def training_loss(self, model, batch):
        return self.losses(model, batch, self.smoothing)

    def measurement(self, model, queries):
        return -self.losses(model, queries, 0.0)


def mlp(*between: Callable[[], nn.Module]) -> Build:
    """Two linear layers with other layers between them."""
    return lambda: nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), *(b() for b in between), nn.Linear(8, CLASSES))


class Over(nn.Module):
    """A layer over the features as positions."""

    def __init__(self, layer: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.expand, self.layer, self.head, self.call = nn.Linear(1, 8), layer, nn.Linear(8, CLASSES), call

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.call(self.layer, self.expand(x[:, :, None])))


class Tied(nn.Module):
    """A weight that two uses share, one through a function."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(FEATURES, FEATURES, bias=False)
        self.head = nn.Linear(FEATURES, CLASSES)
        self.decode = nn.Linear(FEATURES, FEATURES, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.decode(torch.tanh(self.encode(x)))
        return self.head(functional.linear(hidden, self.encode.weight.t()))


class Several(nn.Module):
    """Returns more than its logits."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.first, self.last, self.kind = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES), kind

    def forward(self, x: Tensor) -> object:
        hidden = torch.tanh(self.first(x))
        logits = self.last(hidden)
        return (logits, hidden) if self.kind is tuple else {"hidden": hidden, "logits": logits}


class Looked(nn.Module):
    """Features as ids of an embedding."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(17, 4, sparse=sparse), nn.Linear(4 * FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding((x * 2).long().clamp(-8, 8) + 8).flatten(1))


def strided() -> nn.Module:
    """Parameters that are not contiguous in memory."""
    model = mlp()()
    for layer in (model[0], model[2]):
        layer.weight = nn.Parameter(layer.weight.detach().t().contiguous().t())
        assert not layer.weight.is_contiguous()
    return model


class Mixed(nn.Module):
    """Layers of several dtypes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x)).double())


def at_rest() -> nn.Module:
    """Batch normalisation in evaluation mode, with statistics of its own."""
    layer = nn.BatchNorm1d(8)
    layer.running_mean += 0.3
    layer.running_var *= 2
    return layer.eval()


def recurrent(kind: type[nn.Module]) -> Build:
    """The last state of a recurrent layer."""
    return lambda: Over(kind(8, 8, batch_first=True), lambda layer, x: layer(x)[0][:, -1])


def fused() -> nn.Module:
    """Attention by a fused kernel."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    return Over(attention, lambda layer, x: layer(x, x, x, need_weights=False)[0].mean(1))


def encoder() -> nn.Module:
    """A layer of torch's own transformer."""
    return Over(nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True), lambda e, x: e(x).mean(1))


class Bag(nn.Module):
    """The sum of the embeddings of features as ids."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.EmbeddingBag(17, 8, mode="sum"), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding((x * 2).long().clamp(-8, 8) + 8))


def normed() -> nn.Module:
    """A weight as its length and its direction."""
    return nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))


def decoder() -> nn.Module:
    """A layer that attends to itself and to a memory."""
    layer = nn.TransformerDecoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True)
    return Over(layer, lambda d, x: d(x, x).mean(1))


SETTINGS = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "batch_size": 8, "epochs": 2, "warmup": 0.0}
CASES: dict[str, tuple[Task, dict[str, object]]] = {
    "plain": (Task(mlp()), {}),
    "batch norm at rest": (Task(mlp(at_rest)), {}),
    "dropout": (Task(mlp(lambda: nn.Dropout(0.5))), {}),
    "compiled": (Task(lambda: torch.compile(mlp()(), backend="eager")), {}),
    "a compiled layer": (Task(mlp(lambda: torch.compile(nn.Linear(8, 8), backend="eager"))), {}),
    "clipping": (Task(mlp()), {"clip_norm": 0.3}),
    "accumulation": (Task(mlp()), {"accumulation": 4}),
    "accumulation and dropout": (Task(mlp(lambda: nn.Dropout(0.2))), {"accumulation": 2}),
    "label smoothing": (Task(mlp(), smoothing=0.1), {}),
    "tied": (Task(Tied), {}),
    "several dtypes": (Task(Mixed), {}),
    "double": (Task(lambda: _double()), {}),
    "not contiguous": (Task(strided), {}),
    "lstm": (Task(recurrent(nn.LSTM)), {}),
    "gru": (Task(recurrent(nn.GRU)), {}),
    "fused attention": (Task(fused), {}),
    "encoder": (Task(encoder), {}),
    "decoder": (Task(decoder), {}),
    "group norm": (Task(mlp(lambda: nn.GroupNorm(2, 8))), {}),
    "weight norm": (Task(mlp(normed)), {}),
    "slopes": (Task(mlp(lambda: nn.PReLU())), {}),
    "bag": (Task(Bag), {"learning_rate": 0.02}),
    "sparse embedding": (Task(lambda: Looked(True)), {}),
    "tuple": (Task(lambda: Several(tuple)), {}),
    "dict": (Task(lambda: Several(dict)), {}),
    "adamw": (
        Task(mlp()),
        {"optimizer": "adamw", "learning_rate": 0.02, "weight_decay": 0.1, "eps": 1e-6, "eps_root": 0.0},
    ),
}


def _double() -> nn.Module:
    class Double(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.double())

    return Double(*mlp()()).double()


def retrained(task: Task, recipe: Recipe, without: int) -> Tensor:
    """Measurements after training in plain PyTorch on the same batches, without a source."""
    torch.manual_seed(recipe.seed)
    model, training = task.build(), recipe.training
    options = {"lr": 1.0, "weight_decay": training.weight_decay}
    if training.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            model.parameters(), momentum=training.momentum, **options
        )
    else:
        optimizer = torch.optim.AdamW(model.parameters(), betas=training.betas, eps=training.eps, **options)
    for step in range(recipe.steps):
        parts = recipe.schedule.order.micro_batches(step)
        for index, indices in enumerate(parts):
            batch, source_B = recipe.data.batch(indices, torch.device("cpu"))
            torch.manual_seed(int(np.random.SeedSequence([recipe.seed, step, index]).generate_state(1)[0]))
            losses_B = task.training_loss(model, batch)
            ((source_B != without) * losses_B).mean().div(len(parts)).backward()
        if training.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
        optimizer.param_groups[0]["lr"] = float(recipe.schedule.rates[step])
        if isinstance(model, Looked):
            model.embedding.weight.grad = model.embedding.weight.grad.to_dense()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        return task.measurement(model, {name: torch.from_numpy(values) for name, values in QUERIES.items()})


def influence(task: Task, **settings: object) -> tuple[tribute.Study, np.ndarray]:
    """Simulated influences over the whole training."""
    training = tribute.TrainingSettings(**SETTINGS | {"replicates": 1} | settings)  # type: ignore[arg-type]
    simulation = tribute.SimulationSettings(horizon=1.0)
    study = tribute.Study(task, BY_SOURCE, training=training, simulation=simulation)
    study.train()
    return study, study.attribute(QUERIES).influence_QS


@pytest.mark.parametrize("name", CASES)
def test_influences_are_those_of_retraining_in_plain_torch(name: str) -> None:
    task, settings = CASES[name]
    study, found_QS = influence(task, **settings)
    recipe = study.runs.recipe
    with torch.random.fork_rng():
        whole = retrained(task, recipe, -1)
        lost_QS = torch.stack([whole - retrained(task, recipe, source) for source in range(3)], 1)
    assert float(lost_QS.abs().max()) > 0.05
    np.testing.assert_allclose(found_QS, lost_QS.numpy(), atol=2e-4 * (1 + float(lost_QS.abs().max())))


def test_mixed_precision_by_autocast_is_that_of_retraining_up_to_rounding() -> None:
    task = Task(mlp(), autocast=True)
    study, found_QS = influence(task)
    with torch.random.fork_rng():
        whole = retrained(task, study.runs.recipe, -1)
        lost_QS = torch.stack([whole - retrained(task, study.runs.recipe, s) for s in range(3)], 1).numpy()
    assert np.linalg.norm(found_QS - lost_QS) < 0.05 * np.linalg.norm(lost_QS)


@pytest.mark.parametrize(
    "name",
    [
        "lstm",
        "gru",
        "fused attention",
        "encoder",
        "decoder",
        "tuple",
        "dict",
        "tied",
        "several dtypes",
        "group norm",
    ],
)
def test_tangents_are_the_limit_of_small_removals(name: str) -> None:
    task, settings = CASES[name]
    training = tribute.TrainingSettings(**SETTINGS | {"replicates": 1} | settings)  # type: ignore[arg-type]
    found = []
    for simulation in (
        tribute.SimulationSettings(horizon=1.0, mode="tangent"),
        tribute.SimulationSettings(horizon=1.0, epsilon=0.01),
    ):
        study = tribute.Study(task, BY_SOURCE, training=training, simulation=simulation)
        study.train()
        found.append(study.attribute(QUERIES).influence_QS)
    assert np.linalg.norm(found[0] - found[1]) < 0.05 * np.linalg.norm(found[1])


def test_tangents_under_autocast_are_those_of_full_precision_up_to_rounding() -> None:
    found = []
    for autocast in (False, True):
        training = tribute.TrainingSettings(**SETTINGS | {"replicates": 1})  # type: ignore[arg-type]
        simulation = tribute.SimulationSettings(horizon=1.0, mode="tangent")
        study = tribute.Study(Task(mlp(), autocast=autocast), BY_SOURCE, training=training, simulation=simulation)
        study.train()
        found.append(study.attribute(QUERIES).influence_QS)
    assert np.linalg.norm(found[1] - found[0]) < 0.1 * np.linalg.norm(found[0])


@pytest.mark.parametrize(
    "method",
    ["adamw_influence", "ekfac", "astra", "source", "conjugate_gradient", "for_value", "trak", "tracin"],
)
@pytest.mark.parametrize("name", ["tuple", "dict", "lstm", "fused attention", "sparse embedding"])
def test_estimators_take_models_as_people_write_them(name: str, method: str) -> None:
    task, settings = CASES[name]
    training = tribute.TrainingSettings(**SETTINGS | {"replicates": 1} | settings)  # type: ignore[arg-type]
    study = tribute.Study(task, BY_SOURCE, training=training)
    study.train()
    found_QS = study.attribute(QUERIES, method=method).influence_QS
    assert np.isfinite(found_QS).all()
    assert np.abs(found_QS).max() > 0


@pytest.mark.parametrize("kind", [tuple, dict])
@pytest.mark.parametrize(
    "method", ["adamw_influence", "ekfac", "astra", "source", "conjugate_gradient", "for_value"]
)
def test_a_model_of_several_outputs_has_the_influences_of_its_logits_alone(kind: type, method: str) -> None:
    class Alone(Several):
        def forward(self, x: Tensor) -> Tensor:
            found = super().forward(x)
            return found[0] if kind is tuple else found["logits"]  # type: ignore[index]

    training = tribute.TrainingSettings(**SETTINGS | {"replicates": 1})  # type: ignore[arg-type]
    found = []
    for build in (lambda: Several(kind), lambda: Alone(kind)):
        study = tribute.Study(Task(build), BY_SOURCE, training=training)
        study.train()
        found.append(study.attribute(QUERIES, method=method).influence_QS)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-6)
