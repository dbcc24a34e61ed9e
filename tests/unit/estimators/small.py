"""A small recorded training, its sources and queries, and a naive gradient."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.unit.training.small import small_recipe
from tribute.config import TaskSettings, TrainingSettings
from tribute.estimators import Estimator, Groups, Trained
from tribute.readout import QueryRows
from tribute.tasks import Batch
from tribute.training import Recipe, TrainingSet, record

QUERY_OF_ROW = [0, 1, 1, 2]


def small_training(folder: Path, task: str = "classifier", **training: Any) -> Trained:
    """The small recipe, of another task with a classifier's options if it is named."""
    recipe = small_recipe(**training)
    recipe = replace(recipe, task_settings=recipe.task_settings.model_copy(update={"name": task}))
    return Trained(recipe, record(recipe, folder), recipe.steps)


def sources(trained: Trained) -> Groups:
    return Groups.of_sources(trained.data, range(len(trained.data.source_ids)))


def small_queries() -> QueryRows:
    """Three queries of four rows: the second has two."""
    rng = np.random.default_rng(11)
    precision = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
    columns = {"features": rng.normal(size=(4, 4)).astype(precision), "labels": np.array([0, 1, 1, 0])}
    return QueryRows(("a", "b", "c"), columns, np.array(QUERY_OF_ROW))


def loss_gradient(recipe: Recipe, theta_P: Tensor, example: int) -> Tensor:
    """Gradient of one example's training loss, by autograd."""
    batch, _ = recipe.data.batch(np.array([example]), recipe.device)
    at_P = theta_P.clone().requires_grad_()
    [found_P] = torch.autograd.grad(recipe.task.losses(at_P, batch).sum(), [at_P])
    return found_P


def query_gradient(
    recipe: Recipe, theta_P: Tensor, queries: QueryRows, query: int, reads: str = "measurement"
) -> Tensor:
    """Gradient of one query's measurement, or of minus its loss, summed over its rows, by autograd."""
    rows: Batch = {k: torch.from_numpy(v[queries.query_N == query]) for k, v in queries.columns.items()}
    at_P = theta_P.clone().requires_grad_()
    read = recipe.task.measure(at_P, rows) if reads == "measurement" else -recipe.task.losses(at_P, rows)
    [found_P] = torch.autograd.grad(read.sum(), [at_P])
    return found_P


def additive(trained: Trained, score: Tensor) -> Tensor:
    """Scores of examples, [Q, N], summed by source, [Q, S]."""
    found = score.new_zeros(len(score), len(trained.data.source_ids))
    return found.index_add_(1, torch.from_numpy(trained.data.source_N), score)


def text_training(folder: Path, context: int = 8, **training: Any) -> Trained:
    """A tiny transformer in the precision of the moment: 9 windows of two sources."""
    rng = np.random.default_rng(7)
    by_source = {
        name: {"tokens": rng.integers(0, 256, size=(count, context + 1)).astype(np.int16)}
        for name, count in (("ink", 5), ("jazz", 4))
    }
    options = {"context": context, "width": 8, "heads": 2, "layers": 1}
    settings: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 3, "epochs": 1}
    task = TaskSettings(name="byte_lm", options=options)
    recipe = Recipe(task, TrainingSettings(**(settings | training)), TrainingSet.assemble(by_source), 0)
    return Trained(recipe, record(recipe, folder), recipe.steps)


def text_queries(context: int = 8) -> QueryRows:
    """Three queries of four windows: the second has two, of which the last is padded."""
    tokens = np.random.default_rng(13).integers(0, 256, size=(4, context + 1)).astype(np.int16)
    tokens[2, 0], tokens[2, 3:] = tokens[1, -1], -1
    return QueryRows(("a", "b", "c"), {"tokens": tokens}, np.array(QUERY_OF_ROW))


def influences(estimator: Estimator, trained: Trained, groups: Groups, queries: QueryRows) -> Tensor:
    """Influence of groups on queries, [Q, G], from fit to read-out."""
    fitted = estimator.fit(trained)
    return estimator.influence(trained, fitted, estimator.gather(trained, fitted, groups), queries)
