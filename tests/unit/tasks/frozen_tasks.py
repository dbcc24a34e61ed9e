"""Tasks with a part that is not trained, as people write them."""

from dataclasses import dataclass

import torch
from torch import nn

from tribute.tasks import Classifier


class Fourier(nn.Module):
    """Random features, drawn once when the model is built, and a trained head."""

    def __init__(self, features: int, classes: int, kind: str) -> None:
        super().__init__()
        omega = torch.randn(features, 16)
        if kind == "parameter":
            self.omega = nn.Parameter(omega, requires_grad=False)
        elif kind == "attribute":
            self.omega = omega
        else:
            self.register_buffer("omega", omega, persistent=kind != "temporary")
        self.head = nn.Linear(16, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cos(features @ self.omega))


@dataclass(frozen=True)
class RandomFeatures(Classifier):
    """Random features, held as a buffer, a frozen parameter or a plain attribute."""

    kind: str = "buffer"

    def build(self) -> nn.Module:
        return Fourier(self.features, self.classes, self.kind)


@dataclass(frozen=True)
class FrozenTrunk(Classifier):
    """A trunk that was trained elsewhere, with statistics as buffers; only the head is trained."""

    def build(self) -> nn.Module:
        trunk = nn.Sequential(nn.Linear(self.features, 16), nn.BatchNorm1d(16), nn.ReLU()).eval()
        for parameter in trunk.parameters():
            parameter.requires_grad = False
        return nn.Sequential(trunk, nn.Linear(16, self.classes))


@dataclass(frozen=True)
class Tied(Classifier):
    """An encoder whose weight, transposed, is used again: under two names."""

    def build(self) -> nn.Module:
        first = nn.Linear(self.features, self.features, bias=False)
        second = nn.Linear(self.features, self.features, bias=False)
        second.weight = first.weight
        return nn.Sequential(first, nn.Tanh(), second, nn.Linear(self.features, self.classes))


def random_features(**options: object) -> RandomFeatures:
    return RandomFeatures(**options)  # type: ignore[arg-type]
