"""Training jobs.

Legend: P parameters, N training examples.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tribute.cluster.plan import Job
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


def _mean_loss(recipe: Recipe, theta_P: torch.Tensor) -> float:
    """Mean training loss over at most `LOSS_EXAMPLES` examples, evenly spaced over the training set."""
    chosen = np.unique(np.linspace(0, len(recipe.data) - 1, LOSS_EXAMPLES, dtype=np.int64))
    losses = []
    with torch.no_grad():
        for part in np.array_split(chosen, -(-len(chosen) // 256)):
            batch, _ = recipe.data.batch(part, recipe.device)
            losses.append(recipe.task.losses(theta_P, batch).double())
    return float(torch.cat(losses).mean())
