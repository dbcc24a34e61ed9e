"""Tasks as people write them, each with one thing that breaks the contract; `RIGHT` keeps it."""

import random
import uuid
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tribute.tasks.contract import TaskExamples, chosen_rows

FEATURES, CLASSES = 6, 3
_RNG = np.random.default_rng(0)
COLUMNS = {
    "features": _RNG.normal(size=(30, FEATURES)).astype(np.float32),
    "labels": _RNG.integers(0, CLASSES, 30),
}


def examples(columns: dict[str, np.ndarray] = COLUMNS) -> TaskExamples:
    """Chosen examples of one source."""
    rows = chosen_rows(columns)
    kept = {name: values[rows] for name, values in columns.items()}
    return TaskExamples(kept, ("a",) * len(rows), tuple(rows.tolist()))


class Softmax:
    """A linear classifier whose losses and measurements pass through functions of (values, model, batch)."""

    def __init__(
        self,
        loss: Callable = lambda each, *_: each,
        measure: Callable = lambda each, *_: each,
        build: Callable[[], nn.Module] = lambda: nn.Linear(FEATURES, CLASSES),
    ) -> None:
        self.loss, self.measure, self.built = loss, measure, build

    def build(self) -> nn.Module:
        return self.built()

    def each(self, model, rows):
        return functional.cross_entropy(model(rows["features"]), rows["labels"], reduction="none")

    def training_loss(self, model, batch):
        return self.loss(self.each(model, batch), model, batch)

    def measurement(self, model, queries):
        return self.measure(-self.each(model, queries), model, queries)


class Regression(Softmax):
    """Least squares with a head of one output, as in many tutorials."""

    def __init__(self, column: bool, **options) -> None:
        super().__init__(build=lambda: nn.Linear(FEATURES, 1), **options)
        self.column = column

    def each(self, model, rows):
        target = rows["labels"].float()
        return functional.mse_loss(
            model(rows["features"]), target[:, None] if self.column else target, reduction="none"
        )


class Layers(nn.Module):
    """Two linear layers, the first of which another function may take the place of."""

    def __init__(self, between: Callable, *extra: nn.Module) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES)
        self.between, self.extra = between, nn.ModuleList(extra)

    def forward(self, x):
        return self.last(self.between(self, torch.tanh(self.first(x))))


def layers(between: Callable, *extra: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """A factory of `Layers`."""
    return lambda: Layers(between, *(each() for each in extra))


class Counter(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    @staticmethod
    def count(model, x):
        model.extra[0].calls += 1
        return x


class Average(nn.Module):
    """Keeps a moving average of what passes through it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(8))

    @staticmethod
    def centred(model, x):
        layer = model.extra[0]
        if model.training:
            with torch.no_grad():
                layer.mean.mul_(0.9).add_(0.1 * x.mean(0))
        return x - layer.mean


def norm(kind: Callable[[], nn.Module], evaluated: bool = False) -> Callable[[], nn.Module]:
    """A factory of a network with a normalisation, which may be in evaluation mode."""

    def build() -> nn.Module:
        layer = kind()
        return nn.Sequential(nn.Linear(FEATURES, 8), layer.eval() if evaluated else layer, nn.Linear(8, CLASSES))

    return build


class Noise(nn.Module):
    """A linear layer with a buffer drawn by a function."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)
        self.register_buffer("shift", torch.full((CLASSES,), draw()))

    def forward(self, x):
        return self.layer(x) + self.shift


def in_batch_negatives(each, model, batch):
    """Contrastive: every other example of the batch is a negative."""
    z = functional.normalize(model(batch["features"]), dim=1)
    return functional.cross_entropy(z @ z.T * 5, torch.arange(len(z)), reduction="none") + each


def over_positions(each, _, batch):
    """Normalised by what the whole batch holds."""
    return each / batch["labels"].numel()


def standardised(each, *_):
    """Batch statistics of the losses themselves."""
    return (each - each.mean()).square()


def going_on() -> Callable[[], nn.Module]:
    """A factory whose own generator goes on from call to call."""
    own = torch.Generator().manual_seed(0)
    return lambda: Noise(lambda: float(torch.rand((), generator=own)))


OWN = nn.Linear(FEATURES, CLASSES)
"""A model that the task holds instead of the one that it is given."""

RIGHT = {
    "vector": Softmax(),
    "smoothing": Softmax(
        loss=lambda _e, m, b: functional.cross_entropy(
            m(b["features"]), b["labels"], reduction="none", label_smoothing=0.1
        )
    ),
    "squeezed regression": Regression(True, loss=lambda e, *_: e[:, 0], measure=lambda e, *_: e[:, 0]),
    "torch's buffer": Softmax(build=lambda: Noise(lambda: float(torch.randn(())))),
    "dropout": Softmax(build=layers(lambda m, x: m.extra[0](x), lambda: nn.Dropout(0.5))),
    "batch norm at rest": Softmax(build=norm(lambda: nn.BatchNorm1d(8), evaluated=True)),
    "group norm": Softmax(build=norm(lambda: nn.GroupNorm(2, 8))),
    "double": Softmax(loss=lambda e, *_: e.double()),
}
"""Tasks that nothing is wrong with."""


def ends(*_: object) -> torch.Tensor:
    raise SystemExit(0)


WRONG = {
    "loss that ends": (Softmax(loss=ends), "training_loss", r"training_loss ends the program \(SystemExit: 0\)"),
    "measurement that ends": (Softmax(measure=ends), "measurement", "measurement ends the program"),
    "build that ends": (Softmax(build=ends), "build", "Task.build fails: SystemExit: 0. Correct the task"),
    "mean": (Softmax(loss=lambda e, *_: e.mean()), "training_loss", r"shape \(\) for 3 .*reduction=\"none\""),
    "sum of the queries": (Softmax(measure=lambda e, *_: e.sum()), "measurement", r"shape \(\) for 3 queries"),
    "column": (Softmax(loss=lambda e, *_: e[:, None]), "training_loss", r"shape \(3, 1\).*loss\[:, 0\]"),
    "row": (Softmax(loss=lambda e, *_: e[None]), "training_loss", r"shape \(1, 3\).*loss\[0\]"),
    "measured column": (Softmax(measure=lambda e, *_: e[:, None]), "measurement", r"measurement\[:, 0\]"),
    "regression": (Regression(True), "training_loss", r"shape \(3, 1\)"),
    "broadcast": (Regression(False), "training_loss", r"shape \(3, 3\).*broadcast.*outputs\[:, 0\]"),
    "broadcast and reduced": (
        Regression(False, loss=lambda e, *_: e.mean(1), measure=lambda e, *_: e.mean(1)),
        "training_loss",
        "other examples in the batch change the loss of source 'a', row",
    ),
    "squeeze": (
        Softmax(loss=lambda e, *_: e[:, None].squeeze()),
        "training_loss",
        r"for 1 example, .*squeeze\(-1\)",
    ),
    "as wide as the batch": (
        Softmax(loss=lambda _e, m, b: m(b["features"]).mean(0)),
        "training_loss",
        r"shape \(3,\) for 7 examples",
    ),
    "positions": (Softmax(loss=lambda _e, m, b: m(b["features"])), "training_loss", r"shape \(3, 3\)"),
    "flat positions": (
        Softmax(loss=lambda _e, m, b: m(b["features"])[:, :2].flatten()),
        "training_loss",
        r"\(6,\).*view",
    ),
    "tuple": (Softmax(loss=lambda e, *_: (e, e)), "training_loss", "returns a tuple, expected a tensor"),
    "number": (Softmax(loss=lambda e, *_: float(e.detach().mean())), "training_loss", "returns a float"),
    "right or wrong": (Softmax(measure=lambda e, *_: e > -1), "measurement", "returns bool.*log-likelihood"),
    "half precision": (Softmax(measure=lambda e, *_: e.bfloat16()), "measurement", r"bfloat16.*Return .float\(\)"),
    "detached": (Softmax(loss=lambda e, *_: e.detach()), "training_loss", "not differentiable by any parameter"),
    "a model of its own": (
        Softmax(loss=lambda _e, _m, b: OWN(b["features"]).square().sum(1)),
        "training_loss",
        "Call the model that it is given",
    ),
    "accuracy": (Softmax(measure=lambda e, *_: (e > -1).float()), "measurement", "not differentiable"),
    "infinite": (Softmax(loss=lambda e, *_: e / 0), "training_loss", "is inf for source 'a', row"),
    "undefined": (Softmax(measure=lambda e, *_: e.log()), "measurement", "is nan for source 'a', row"),
    "root of 0": (Softmax(loss=lambda e, *_: (e - e).sqrt() + e), "training_loss", "gradient.*not finite.*at 0"),
    "batch norm": (Softmax(build=norm(lambda: nn.BatchNorm1d(8))), "training_loss", "running_mean.*layer.eval"),
    "counter": (Softmax(build=layers(Counter.count, Counter)), "training_loss", "changes .* of Counter"),
    "moving average": (Softmax(build=layers(Average.centred, Average)), "training_loss", "changes .* of Average"),
    "old weight norm": (
        Softmax(build=lambda: torch.nn.utils.weight_norm(nn.Linear(FEATURES, CLASSES))),
        "build",
        r"cannot be copied.*torch\.nn\.utils\.parametrizations",
    ),
    "batch statistics": (
        Softmax(build=norm(lambda: nn.BatchNorm1d(8, track_running_stats=False))),
        "training_loss",
        "BatchNorm1d '1' uses the statistics of the batch",
    ),
    "spectral norm": (
        Softmax(build=norm(lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)))),
        "training_loss",
        "_SpectralNorm.*layer.eval",
    ),
    "negatives": (Softmax(loss=in_batch_negatives), "training_loss", "other examples in the batch change"),
    "measured negatives": (
        Softmax(measure=in_batch_negatives),
        "measurement",
        "other queries in the batch change",
    ),
    "standardised": (Softmax(loss=standardised), "training_loss", "other examples in the batch change"),
    "divided": (Softmax(loss=over_positions), "training_loss", "in a batch of 1 and .* not by the size"),
    "python noise": (Softmax(loss=lambda e, *_: e * (1 + random.random())), "training_loss", "second call"),
    "numpy noise": (Softmax(loss=lambda e, *_: e * (1 + np.random.rand())), "training_loss", "second call"),
    "measured noise": (Softmax(measure=lambda e, *_: e * (1 + torch.rand(()))), "measurement", "second call"),
    "python's buffer": (Softmax(build=lambda: Noise(random.random)), "build", "'shift' of the Noise.*torch.randn"),
    "numpy's buffer": (Softmax(build=lambda: Noise(lambda: float(np.random.rand()))), "build", "'shift'"),
    "time": (Softmax(build=lambda: Noise(lambda: uuid.uuid4().int % 1000 / 1000)), "build", "'shift'"),
    "own generator": (Softmax(build=going_on()), "build", "'shift'"),
    "frozen": (
        Softmax(build=lambda: nn.Linear(FEATURES, CLASSES).requires_grad_(False)),
        "build",
        "nothing to train",
    ),
    "lazy": (
        Softmax(build=lambda: nn.LazyLinear(CLASSES)),
        "build",
        "lazy parameters without a shape: weight, bias",
    ),
    "complex": (
        Softmax(build=lambda: nn.Linear(FEATURES, 3, dtype=torch.complex64)),
        "build",
        "complex parameters",
    ),
    "no module": (Softmax(build=lambda: 3), "build", "returns a int, expected a torch.nn.Module"),
    "raises": (Softmax(build=lambda: nn.Linear(-1, 2)), "build", "build fails: RuntimeError"),
    "wrong width": (Softmax(build=lambda: nn.Linear(5, CLASSES)), "training_loss", r"features \[6\] float32"),
    "no column": (Softmax(loss=lambda e, _m, b: e * b["weight"]), "training_loss", "needs column 'weight'"),
}
"""Tasks with what is wrong with them: the subject of the finding, and words of its text."""


def wrong(name: str) -> Softmax:
    """A factory for projects."""
    return WRONG[name][0]  # type: ignore[return-value]
