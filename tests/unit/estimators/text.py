"""A small recorded training on windows of bytes, and queries of which one is a copy of a training example."""

from pathlib import Path

import numpy as np

from tribute.config import TaskSettings, TrainingSettings
from tribute.estimators import Trained
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet, record

COPIED = 9
"""The training example that query 0 is."""


def text_training(folder: Path) -> Trained:
    """12 windows of 7 bytes from 2 sources, some padded."""
    tokens = np.random.default_rng(3).integers(97, 123, size=(12, 7))
    tokens[::5, 5:] = -1
    data = TrainingSet.assemble({"one": {"tokens": tokens[:5]}, "two": {"tokens": tokens[5:]}})
    task = TaskSettings(name="byte_lm", options={"context": 6, "width": 4, "heads": 2, "layers": 1})
    recipe = Recipe(task, TrainingSettings(batch_size=4, epochs=3, learning_rate=0.01), data, 0)
    return Trained(recipe, record(recipe, folder), recipe.steps)


def few_texts(trained: Trained) -> QueryRows:
    """Two queries: a training example, and two other windows."""
    other = np.random.default_rng(4).integers(97, 123, size=(2, 7))
    tokens = np.concatenate([trained.data.columns["tokens"][[COPIED]], other])
    return QueryRows(("copy", "other"), {"tokens": tokens}, np.array([0, 1, 1]))
