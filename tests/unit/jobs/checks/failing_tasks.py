"""Tasks of one's own that raise, or that know few ids."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tribute.tasks import Batch, Model


def build() -> object:
    raise RuntimeError("the licence server is down")


@dataclass(frozen=True)
class Broken:
    """Its model cannot be built."""

    def build(self) -> nn.Module:
        raise OSError("the licence server is down")

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        raise NotImplementedError

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        raise NotImplementedError


def broken() -> Broken:
    return Broken()


@dataclass(frozen=True)
class Narrow:
    """Predicts the next byte, of those below 128."""

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Embedding(128, 8), nn.Linear(8, 128))

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        tokens = batch["tokens"].long()
        logits = model(tokens[:, :-1].clamp(min=0))
        losses = functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none", ignore_index=-1)
        return losses.mean(1)

    def measurement(self, model: Model, queries: Batch) -> Tensor:
        return -self.training_loss(model, queries)


class OneWay(torch.autograd.Function):
    """The identity, without a forward derivative."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # noqa: ARG004
        return slope


@dataclass(frozen=True)
class Backward(Narrow):
    """A model of ASCII with a layer that has no forward mode."""

    def training_loss(self, model: Model, batch: Batch) -> Tensor:
        return OneWay.apply(super().training_loss(model, batch))
