"""A training small enough for oracles: 3 sources, 2 classes, a perceptron with 8 hidden units."""

import numpy as np
import torch

from tribute.config import TaskSettings, TrainingSettings
from tribute.training import Recipe, TrainingSet

SOURCES = ("alpha", "beta", "gamma")


def small_recipe(seed: int = 0, **training: object) -> Recipe:
    rng = np.random.default_rng(5)
    precision = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
    by_source = {
        name: {
            "features": rng.normal(size=(count, 4)).astype(precision),
            "labels": rng.integers(0, 2, size=count),
        }
        for name, count in zip(SOURCES, (20, 13, 7), strict=True)
    }
    settings: dict[str, object] = {
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "batch_size": 8,
        "epochs": 4,
        "schedule": "cosine",
        "warmup": 0.1,
    }
    task = TaskSettings(name="classifier", options={"features": 4, "hidden": [8], "classes": 2})
    return Recipe(task, TrainingSettings(**(settings | training)), TrainingSet.assemble(by_source), seed)
