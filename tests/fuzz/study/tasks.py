"""Tasks in the ways that people write them, right ones and wrong ones."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.fuzz.study.models import WIDTH, logits_of

Rows = dict[str, Tensor]
Losses = Callable[[Tensor, Rows], Tensor]
Column = np.ndarray


@dataclass(frozen=True)
class Writing:
    """How a loss and a measurement are written, for a model with `outputs` outputs; None: as many as classes."""

    loss: Losses
    measure: Losses
    outputs: int | None = None


def cross_entropy(**options: Any) -> Losses:
    """Cross-entropy per example."""
    return lambda logits, rows: functional.cross_entropy(logits, rows["labels"], reduction="none", **options)


def minus(loss: Losses) -> Losses:
    """A log-likelihood of a loss."""
    return lambda logits, rows: -loss(logits, rows)


def log_probability(logits: Tensor, rows: Rows) -> Tensor:
    """The log-probability of the label, by hand."""
    return logits.log_softmax(-1).gather(1, rows["labels"][:, None])[:, 0]


def margin(logits: Tensor, rows: Rows) -> Tensor:
    """By how much the logit of the label is above the mean of all."""
    return logits.gather(1, rows["labels"][:, None]).squeeze(-1) - logits.mean(-1)


def probability(logits: Tensor, rows: Rows) -> Tensor:
    """The probability of the label."""
    return log_probability(logits, rows).exp()


def squared(outputs: Tensor, rows: Rows) -> Tensor:
    """The squared error of one output."""
    return (outputs[:, 0] - rows["targets"]).square()


def huber(outputs: Tensor, rows: Rows) -> Tensor:
    """Huber's loss, by torch."""
    return functional.smooth_l1_loss(outputs.squeeze(-1), rows["targets"].to(outputs.dtype), reduction="none")


def gaussian(outputs: Tensor, rows: Rows) -> Tensor:
    """The negative log-likelihood of a mean and a log-variance."""
    mean, spread = outputs[:, 0], outputs[:, 1].clamp(-3, 3)
    return 0.5 * (spread + (rows["targets"] - mean).square() * torch.exp(-spread))


def binary(outputs: Tensor, rows: Rows) -> Tensor:
    """Binary cross-entropy of the first class against the others."""
    target = (rows["labels"] == 0).to(outputs.dtype)
    return functional.binary_cross_entropy_with_logits(outputs.view(-1), target, reduction="none")


def brier(logits: Tensor, rows: Rows) -> Tensor:
    """The Brier score, a mean over the classes of each example."""
    wanted = functional.one_hot(rows["labels"], logits.shape[-1]).to(logits.dtype)
    return (logits.softmax(-1) - wanted).square().mean(-1)


_CE = cross_entropy()
WRITINGS: dict[str, Writing] = {
    "cross-entropy": Writing(_CE, minus(_CE)),
    "label smoothing": Writing(cross_entropy(label_smoothing=0.1), minus(_CE)),
    "log-softmax by hand": Writing(lambda x, rows: -log_probability(x, rows), log_probability),
    "nll": Writing(lambda x, r: functional.nll_loss(x.log_softmax(-1), r["labels"], reduction="none"), margin),
    "focal": Writing(lambda x, r: _CE(x, r) * (1 - probability(x, r)) ** 2, probability),
    "brier": Writing(brier, minus(brier)),
    "least squares": Writing(squared, minus(squared), 1),
    "huber": Writing(huber, minus(squared), 1),
    "gaussian": Writing(gaussian, minus(gaussian), 2),
    "binary": Writing(binary, minus(binary), 1),
}


@dataclass
class WrittenTask:
    """A task of a model and a writing, whose values pass through functions of (values, model, rows)."""

    built: Callable[[], nn.Module]
    writing: Writing
    change_loss: Callable[..., Any] = lambda each, *_: each
    change_measurement: Callable[..., Any] = lambda each, *_: each

    def build(self) -> nn.Module:
        """A fresh model."""
        return self.built()

    def training_loss(self, model: Callable[..., Any], batch: Rows) -> Any:
        """The loss of every example."""
        found = self.writing.loss(logits_of(model(batch["features"])), batch)
        return self.change_loss(found, model, batch)

    def measurement(self, model: Callable[..., Any], queries: Rows) -> Any:
        """The measurement of every query."""
        found = self.writing.measure(logits_of(model(queries["features"])), queries)
        return self.change_measurement(found, model, queries)


class Bare(nn.Module):
    """A model beside a buffer that a function draws."""

    def __init__(self, model: nn.Module, draw: Callable[[], float]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("shift", torch.full((1,), draw()))

    def forward(self, x: Tensor) -> Tensor:
        return logits_of(self.model(x)) + self.shift


def in_batch(each: Tensor, model: Callable[..., Any], rows: Rows) -> Tensor:
    """Every other example of the batch is a negative."""
    near = functional.normalize(logits_of(model(rows["features"])) + rows["features"].sum(1, keepdim=True))
    return functional.cross_entropy(near @ near.T * 5, torch.arange(len(near)), reduction="none") + each


LOSSES: dict[str, Callable[..., Any]] = {
    "loss [B, 1]": lambda each, *_: each[:, None],
    "loss [1, B]": lambda each, *_: each[None],
    "loss is a mean": lambda each, *_: each.mean(),
    "loss is a sum": lambda each, *_: each.sum(),
    "loss is [B, B]": lambda each, *_: each[:, None] - each.detach()[None] + 1,
    "loss over the batch size": lambda each, *_: each / len(each),
    "loss less the batch's mean": lambda each, *_: (each - each.mean()).square(),
    "loss over the batch's sum": lambda each, *_: each / each.detach().sum(),
    "loss of in-batch negatives": in_batch,
    "loss is an integer": lambda each, *_: each.round().long(),
    "loss is a truth value": lambda each, *_: each > 0,
    "loss is a number": lambda each, *_: float(each.detach().mean()),
    "loss is a tuple": lambda each, *_: (each, each),
    "loss without a gradient": lambda each, *_: each.detach(),
    "loss is not a number": lambda each, *_: each + (each.detach() * 0 - 1).log(),
    "loss is infinite": lambda each, *_: each / 0,
    "loss with NumPy's noise": lambda each, *_: each * (1 + np.random.rand()),
    "loss needs a column": lambda each, _m, rows: each * rows["weight"],
}
MEASUREMENTS: dict[str, Callable[..., Any]] = {
    "measurement [Q, 1]": lambda each, *_: each[:, None],
    "measurement is a mean": lambda each, *_: each.mean(),
    "measurement is a sum": lambda each, *_: each.sum(),
    "measurement is an accuracy": lambda each, *_: (each > each.mean()).float(),
    "measurement is a truth value": lambda each, *_: each > -1,
    "measurement is not a number": lambda each, *_: each * float("nan"),
    "measurement with noise": lambda each, *_: each * (1 + torch.rand(())),
    "measurement less the mean of all": lambda each, *_: each - each.mean(),
    "measurement in half precision": lambda each, *_: each.bfloat16(),
}
BUILDS: dict[str, Callable[[Callable[[], nn.Module]], Any]] = {
    "build draws by random": lambda build: Bare(build(), random.random),
    "build draws by NumPy": lambda build: Bare(build(), lambda: float(np.random.rand())),
    "build has nothing to train": lambda build: build().requires_grad_(False),
    "build gives a number": lambda _: 3,
    "build fails": lambda _: nn.Linear(-1, 2),
    "build gives another width": lambda _: nn.Linear(11, 2),
    "build leaves a lazy layer": lambda _: nn.LazyLinear(2),
    "batch norm in training": lambda build: nn.Sequential(nn.Sequential(Logits(build())), Normed()),
    "complex parameters": lambda _: nn.Linear(3, 2, dtype=torch.complex64),
}
DATA: dict[str, Callable[[dict[str, Column]], None]] = {
    "a label above the classes": lambda columns: columns["labels"].__setitem__(-1, 999),
    "a label of -1": lambda columns: columns["labels"].__setitem__(-1, -1),
    "a label that is ignored": lambda columns: columns["labels"].__setitem__(-1, -100),
    "a feature that is not a number": lambda columns: columns["features"].__setitem__((-1, 0), np.nan),
    "features in text": lambda columns: columns.update(features=np.array([["x"]] * len(columns["features"]))),
    "columns of different lengths": lambda columns: columns.update(labels=columns["labels"][:0]),
    "a column too few": lambda columns: columns.pop("features"),
}
"""What may be wrong with the examples of one source; labels only where a loss is one of classes."""
SHAPES = ("loss [B, 1]", "loss [1, B]", "loss is [B, B]", "loss is a mean", "measurement [Q, 1]")
OF_CLASSES = ("a label above the classes", "a label of -1", "a label that is ignored")


class Logits(nn.Module):
    """A model whose logits alone are its output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return logits_of(self.model(x))


class Normed(nn.Module):
    """Batch normalisation in training mode, over any number of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.repeat(1, WIDTH)[:, :WIDTH]).mean(-1, keepdim=True) + x


def spoiled(task: WrittenTask, fault: str) -> WrittenTask:
    """A task with a fault in its functions; the same task for a fault in the data."""
    built = task.built
    if fault in BUILDS:
        return replace(task, built=lambda: BUILDS[fault](built))
    if fault in LOSSES:
        return replace(task, change_loss=LOSSES[fault])
    return replace(task, change_measurement=MEASUREMENTS[fault]) if fault in MEASUREMENTS else task
