"""The body of a training job.

Legend: P parameters, N training examples.
"""

from typing import Any

import numpy as np
import torch

from tribute.cluster.plan import TrainJob
from tribute.training import Recipe, record

SAMPLE = 2048


def train_replicate(recipe: Recipe, job: TrainJob) -> dict[str, Any]:
    """Train and record one replicate; what its row of `trajectories` says of it."""
    trajectory = record(recipe, job.folder)
    theta_P = trajectory.load(recipe.steps, recipe.device).theta
    return {
        "replicate": job.replicate,
        "seed": job.seed,
        "steps": recipe.steps,
        "parameters": recipe.task.size,
        "final_loss_nats": _mean_loss(recipe, theta_P),
        "artifact_uri": str(trajectory.path(recipe.steps)),
        "artifact_sha256": trajectory.sha256(recipe.steps),
    }


def _mean_loss(recipe: Recipe, theta_P: torch.Tensor) -> float:
    """Mean training loss over at most `SAMPLE` examples, evenly spaced over the training set."""
    chosen = np.unique(np.linspace(0, len(recipe.data) - 1, SAMPLE, dtype=np.int64))
    losses = []
    with torch.no_grad():
        for part in np.array_split(chosen, -(-len(chosen) // 256)):
            batch, _ = recipe.data.batch(part, recipe.device)
            losses.append(recipe.task.losses(theta_P, batch).double())
    return float(torch.cat(losses).mean())
