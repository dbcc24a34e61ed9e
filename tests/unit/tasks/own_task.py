"""A user's own task: least squares."""

import torch
from torch import nn

from tribute.tasks import Classifier


class LeastSquares:
    def __init__(self, features: int) -> None:
        self.features = features

    def build(self) -> nn.Module:
        return nn.Linear(self.features, 1)

    def training_loss(self, model, batch):
        return (model(batch["features"])[:, 0] - batch["labels"]) ** 2

    def measurement(self, model, queries):
        return -self.training_loss(model, queries)


def linear(features: int) -> LeastSquares:
    return LeastSquares(features)


class WithDropout(LeastSquares):
    """A network with dropout: random in training, not when it is measured."""

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(self.features, 16), nn.Dropout(0.5), nn.Tanh(), nn.Linear(16, 1))


def with_dropout(features: int) -> WithDropout:
    return WithDropout(features)


class DropoutClassifier(Classifier):
    """A classifier with dropout in training."""

    def build(self) -> nn.Module:
        first, *rest = super().build().children()
        return nn.Sequential(first, nn.Dropout(0.5), *rest)


class Halving(nn.Sequential):
    """Layers, and then something that is no layer."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(features) * 0.5


class HalvedClassifier(Classifier):
    """A classifier that halves what its last layer gives out."""

    def build(self) -> nn.Module:
        return Halving(*super().build().children())


class Shifted(nn.Module):
    """A linear layer with a frozen weight and a buffer, which must be where its inputs are."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layer = nn.Linear(features, 1)
        self.frozen = nn.Parameter(torch.full((features,), 2.0), requires_grad=False)
        self.register_buffer("shift", torch.tensor(3.0))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        assert self.shift.device == self.frozen.device == features.device
        return self.layer(features * self.frozen) + self.shift


class WithBuffer(LeastSquares):
    def build(self) -> nn.Module:
        return Shifted(self.features)


def ending() -> None:
    raise SystemExit(0)


def with_buffer(features: int) -> WithBuffer:
    return WithBuffer(features)
