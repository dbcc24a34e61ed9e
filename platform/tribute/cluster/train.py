"""Training jobs.

Legend: P parameters, N training examples.
"""

from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.func import grad

from tribute.cluster.plan import Job
from tribute.config import TaskSettings
from tribute.errors import ConfigError
from tribute.tasks import Task
from tribute.training import Recipe, Trajectory, adopt, load_checkpoint, record

LOSS_EXAMPLES = 2048
"""Training examples behind the reported final loss, at most."""


@dataclass(frozen=True)
class TrainJob(Job):
    """Train one replicate, or adopt its recording, and keep its trajectory in `folder`."""

    replicate: int
    seed: int
    folder: Path
    recording: Path | None = None

    def kept(self) -> float:
        """Recorded states."""
        return len(Trajectory(self.folder).steps())


def train_replicate(recipe: Recipe, job: TrainJob) -> dict[str, Any]:
    """Train (or adopt) and record one replicate; its row of `trajectories`."""
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
    """Evaluate the loss and its gradient on a few examples, including those with extreme values, before training.

    Raises:
        ConfigError: the task does not fit the examples.
    """
    extreme = [i for column in recipe.data.columns.values() for i in (column.argmin(), column.argmax())]
    width = {name: int(np.prod(column.shape[1:])) for name, column in recipe.data.columns.items()}
    rows = np.unique([i // width[name] for name, i in zip(np.repeat(list(width), 2), extreme, strict=True)])
    batch, _ = recipe.data.batch(rows, recipe.device)

    def loss(theta_P: torch.Tensor) -> torch.Tensor:
        losses_B = recipe.task.losses(theta_P, batch)
        if losses_B.shape != (len(rows),):
            raise ValueError(
                f"training_loss returns shape {tuple(losses_B.shape)} for {len(rows)} examples, expected "
                f"{(len(rows),)}, the loss of each example"
            )
        return losses_B.sum()

    try:
        grad(loss)(recipe.initial().theta)
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        shapes = {name: column.shape[1:] for name, column in recipe.data.columns.items()}
        problem = f"there is no column {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        task, remedy = _title_and_remedy(recipe.task_settings)
        raise ConfigError(f"Task {task} does not fit examples of {shapes}: {problem}. {remedy}") from error


def _title_and_remedy(task: TaskSettings | Task) -> tuple[str, str]:
    if isinstance(task, TaskSettings):
        return f"{task.name} with options {task.options}", "Correct task.options, or corpus.window for text"
    title = repr(task) if is_dataclass(task) else type(task).__name__
    return title, "Correct the task or the columns: see tribute.Task"


def _mean_loss(recipe: Recipe, theta_P: torch.Tensor) -> float:
    """Mean training loss over at most `LOSS_EXAMPLES` examples, evenly spaced over the training set."""
    chosen = np.unique(np.linspace(0, len(recipe.data) - 1, LOSS_EXAMPLES, dtype=np.int64))
    losses = []
    with torch.no_grad():
        for part in np.array_split(chosen, -(-len(chosen) // 256)):
            batch, _ = recipe.data.batch(part, recipe.device)
            losses.append(recipe.task.losses(theta_P, batch).double())
    return float(torch.cat(losses).mean())
