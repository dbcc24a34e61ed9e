"""Convex trainings with known answers: ridge and logistic regression on three sources, full batches."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tribute.config import TaskSettings, TrainingSettings
from tribute.tasks import joined
from tribute.training import Recipe, TrainingSet

COUNTS = (9, 6, 5)


@dataclass(frozen=True)
class Ridge:
    """Least squares: loss (x theta - y)^2 / 2; measures minus the loss."""

    def build(self) -> nn.Module:
        return nn.Linear(4, 1, bias=False, dtype=torch.float64)

    def training_loss(self, model, batch):
        return (model(batch["features"])[:, 0] - batch["targets"]).square() / 2

    def measurement(self, model, queries):
        return -self.training_loss(model, queries)


@dataclass(frozen=True)
class Logistic:
    """Binary logistic regression."""

    def build(self) -> nn.Module:
        return nn.Linear(4, 1, bias=False, dtype=torch.float64)

    def training_loss(self, model, batch):
        return functional.binary_cross_entropy_with_logits(
            model(batch["features"])[:, 0], batch["targets"], reduction="none"
        )

    def measurement(self, model, queries):
        return -self.training_loss(model, queries)


def convex_recipe(kind: str, steps: int, **training: object) -> Recipe:
    rng = np.random.default_rng(3)
    by_source = {}
    for name, count in zip(("alpha", "beta", "gamma"), COUNTS, strict=True):
        features = rng.normal(size=(count, 4))
        targets = features @ rng.normal(size=4) + rng.normal(size=count)
        by_source[name] = {
            "features": features,
            "targets": targets if kind == "Ridge" else (targets > 0).astype(float),
        }
    settings: dict[str, object] = {
        "optimizer": "sgd",
        "learning_rate": 0.3,
        "momentum": 0.0,
        "schedule": "constant",
        "warmup": 0,
        "batch_size": sum(COUNTS),
        "epochs": steps,
    }
    task = TaskSettings(name=f"tests.unit.simulation.convex:{kind}")
    return Recipe(task, TrainingSettings(**(settings | training)), TrainingSet.assemble(by_source), 0)


def curvature_and_pulls(recipe: Recipe, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Hessian of the mean loss, [P, P], and the gradient of every source's part of it, [S, P], at theta."""
    whole, source_B = recipe.data.batch(np.arange(len(recipe.data)), recipe.device)

    def mean_loss(at: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return (weights[source_B] * recipe.task.losses(at, whole)).mean()

    hessian = torch.func.hessian(mean_loss)(theta, torch.ones(3))
    return hessian, torch.stack([torch.func.grad(mean_loss)(theta, one) for one in torch.eye(3)])


def optimum(recipe: Recipe) -> torch.Tensor:
    """The parameters with the least mean loss, [P], by Newton's method from the recipe's start."""
    theta = joined(recipe.initial().theta)
    for _ in range(20):
        hessian, pulls_SP = curvature_and_pulls(recipe, theta)
        theta = theta - torch.linalg.solve(hessian, pulls_SP.sum(0))
    assert float(pulls_SP.sum(0).norm()) < 1e-12
    return theta
