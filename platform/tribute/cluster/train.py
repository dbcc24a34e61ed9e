"""The body of a training job.

Legend: P parameters, N training examples.
"""

from typing import Any

import numpy as np
import torch

from tribute.cluster.plan import TrainJob
from tribute.errors import ConfigError
from tribute.training import Recipe, Trajectory, adopt, load_checkpoint, record

SAMPLE = 2048


def train_replicate(recipe: Recipe, job: TrainJob) -> dict[str, Any]:
    """Train (or take over) and record one replicate; what its row of `trajectories` says of it."""
    _rehearse(recipe)
    steps = recipe.steps
    if recipe.training.checkpoint is not None:
        trajectory, steps = Trajectory(job.folder), 0
        trajectory.save(0, load_checkpoint(recipe, recipe.training.checkpoint))
    elif recipe.recording is not None:
        trajectory = adopt(recipe, job.folder)
    else:
        trajectory = record(recipe, job.folder)
    theta_P = trajectory.load(steps, recipe.device).theta
    return {
        "replicate": job.replicate,
        "seed": job.seed,
        "steps": steps,
        "parameters": recipe.task.size,
        "final_loss_nats": _mean_loss(recipe, theta_P),
        "artifact_uri": str(trajectory.path(steps)),
        "artifact_sha256": trajectory.sha256(steps),
    }


def _rehearse(recipe: Recipe) -> None:
    """Evaluate the loss on a few examples, those with extreme values among them, before training on all.

    Raises:
        ConfigError: the task does not fit the examples.
    """
    extreme = [i for column in recipe.data.columns.values() for i in (column.argmin(), column.argmax())]
    width = {name: int(np.prod(column.shape[1:])) for name, column in recipe.data.columns.items()}
    rows = np.unique([i // width[name] for name, i in zip(np.repeat(list(width), 2), extreme, strict=True)])
    try:
        batch, _ = recipe.data.batch(rows, recipe.device)
        recipe.task.losses(recipe.initial().theta, batch)
    except (IndexError, RuntimeError, ValueError) as error:
        shapes = {name: column.shape[1:] for name, column in recipe.data.columns.items()}
        raise ConfigError(
            f"Task {recipe.task_settings.name} with options {recipe.task_settings.options} does not fit "
            f"examples of {shapes}: {error}. Correct task.options, or corpus.window for text"
        ) from None


def _mean_loss(recipe: Recipe, theta_P: torch.Tensor) -> float:
    """Mean training loss over at most `SAMPLE` examples, evenly spaced over the training set."""
    chosen = np.unique(np.linspace(0, len(recipe.data) - 1, SAMPLE, dtype=np.int64))
    losses = []
    with torch.no_grad():
        for part in np.array_split(chosen, -(-len(chosen) // 256)):
            batch, _ = recipe.data.batch(part, recipe.device)
            losses.append(recipe.task.losses(theta_P, batch).double())
    return float(torch.cat(losses).mean())
