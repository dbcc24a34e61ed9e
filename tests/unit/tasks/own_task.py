"""A user's own task: least squares."""

from torch import nn


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
