"""Training jobs.

Legend: N training examples, S sources.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import Job, ProgressFile
from tribute.config import SimulationSettings
from tribute.errors import SimulationError
from tribute.simulation import build_schedule, unperturbed
from tribute.tasks import FlatTask, Parameters
from tribute.tasks.modes import allow_recomputation
from tribute.training import Recipe, Trajectory, adopt, load_checkpoint, record, replay_drift

LOSS_EXAMPLES = 2048
"""Training examples behind the reported final loss, at most."""
SOURCE_EXAMPLES, FEWEST_OF_SOURCE, MOST_OF_SOURCE = 4096, 16, 64
"""Training examples that measure what was learnt of the sources: of all, and of each at least and at most."""
COMPARED_EXAMPLES = 256
"""Training examples on which the losses before and after the training are compared, at most."""
LEAST_GAIN = 1e-4
"""Smallest fall of the mean loss, as a part of its first value, that counts as learning."""
WORSE_CHECKPOINT = 0.1
"""By what part of the loss of a fresh model that of a checkpoint may exceed it."""


@dataclass(frozen=True)
class TrainJob(Job):
    """Train one replicate, or adopt its recording, and keep its trajectory in `folder`.

    ``further``: train the checkpoint further instead, by these settings of `continue`.
    """

    replicate: int
    seed: int
    folder: Path
    recording: Path | None = None
    further: SimulationSettings | None = None

    @property
    def progress_file(self) -> ProgressFile:
        """The computed part of the training."""
        return ProgressFile(self.folder / "progress")

    def progress(self) -> float:
        """Computed steps over all steps."""
        return self.progress_file.read()

    def kept(self) -> float:
        """Recorded states."""
        return len(Trajectory(self.folder).steps())


def train_replicate(recipe: Recipe, job: TrainJob) -> dict[str, Any]:
    """Train (or adopt) and record one replicate; its row of `trajectories`, drift, and rows of `learning`."""
    Trajectory(job.folder).keep_frozen(recipe.task.frozen)
    if job.further is not None:
        return _trained_further(recipe, job, job.further)
    steps, computed = recipe.steps, job.progress_file
    if recipe.training.checkpoint is not None:
        trajectory, steps = Trajectory(job.folder), 0
        trajectory.save(0, load_checkpoint(recipe, recipe.training.checkpoint))
    elif recipe.recording is not None:
        trajectory = adopt(recipe, job.folder, lambda step, _: computed.write(step / steps))
    else:
        trajectory = record(recipe, job.folder, lambda step, _: computed.write(step / steps))
    last = trajectory.load(steps, recipe.device).theta
    adopted = recipe.training.checkpoint is not None
    first = (recipe.initial() if adopted else trajectory.load(0, recipe.device)).theta
    learnt = _Learnt.measured(recipe, first, last)
    learnt.require(recipe)
    row = {
        "learning": learnt.rows(recipe, job.replicate),
        "replicate": job.replicate,
        "seed": job.seed,
        "steps": steps,
        "parameters": recipe.task.size,
        "replay_drift": replay_drift(job.folder),
        "final_loss_nats": _mean_loss(recipe, recipe.task, last, LOSS_EXAMPLES),
        "artifact_uri": str(trajectory.path(steps)),
        "artifact_sha256": trajectory.sha256(steps),
    }
    computed.remove()
    return row


def _trained_further(recipe: Recipe, job: TrainJob, settings: SimulationSettings) -> dict[str, Any]:
    """Train the checkpoint further on all sources; the number of steps, and the file of the last state.

    Raises:
        SimulationError: the further steps left the finite numbers, or made the model worse than a fresh one.
    """
    trajectory, checkpoint = Trajectory(job.folder), recipe.training.checkpoint
    if trajectory.reached((0, settings.steps)) != settings.steps:
        assert checkpoint is not None
        begin = load_checkpoint(recipe, checkpoint)
        schedule = build_schedule(recipe, settings, begin.theta)
        theta = unperturbed(schedule, begin)
        thetas, task = (recipe.initial().theta, theta), recipe.task.evaluated
        fresh, after = (_mean_loss(recipe, task, each, COMPARED_EXAMPLES) for each in thetas)
        if not after <= fresh + WORSE_CHECKPOINT * abs(fresh):
            raise SimulationError(
                f"The further training of {checkpoint} under seed {job.seed} diverged: the mean loss of training "
                f"examples is {after:.4g} nats, that of a fresh model {fresh:.4g}. Lower simulation.learning_rate "
                "or simulation.steps"
            )
        trajectory.save(0, begin)
        trajectory.save(settings.steps, schedule.rule.begin(theta))
    file = {
        "artifact_uri": str(trajectory.path(settings.steps)),
        "artifact_sha256": trajectory.sha256(settings.steps),
    }
    return {"replicate": job.replicate, "seed": job.seed, "steps": settings.steps} | file


@dataclass(frozen=True)
class _Learnt:
    """Losses of some training examples before and after the training, [n] nats; which they are, by source."""

    chosen: NDArray[np.int64]
    sampled: list[NDArray[np.int64]]
    before: torch.Tensor
    after: torch.Tensor

    @classmethod
    def measured(cls, recipe: Recipe, first: Parameters, last: Parameters) -> "_Learnt":
        """Measure a sample of each source's examples, and of all; each example once."""
        counts_S = recipe.data.counts
        most = int(np.clip(SOURCE_EXAMPLES // len(counts_S), FEWEST_OF_SOURCE, MOST_OF_SOURCE))
        starts = zip(np.cumsum(counts_S) - counts_S, counts_S, strict=True)
        sampled = [start + _spread(count, most) for start, count in starts]
        chosen = np.unique(np.concatenate([_spread(len(recipe.data), COMPARED_EXAMPLES), *sampled]))
        before, after = (_losses(recipe, recipe.task.evaluated, theta, chosen) for theta in (first, last))
        return cls(chosen, sampled, before, after)

    def require(self, recipe: Recipe) -> None:
        """Stop if the training did not lower the loss: no source can have helped such a model.

        Raises:
            SimulationError: it diverged, or learned nothing; or a checkpoint is worse than a fresh model.
        """
        adopted = recipe.training.checkpoint
        before, after = self._means(_spread(len(recipe.data), COMPARED_EXAMPLES))
        where = f"the mean loss of training examples is {after:.4g} nats"
        if adopted and not after <= before + WORSE_CHECKPOINT * abs(before):
            raise SimulationError(
                f"training.checkpoint {adopted} does not know the corpus: {where}, that of a fresh model "
                f"{before:.4g}. Check that it was stored after training, by this task, on examples prepared alike"
            )
        if not adopted and not after <= before:
            raise SimulationError(
                f"The training under seed {recipe.seed} diverged: {where}, {before:.4g} before the first step. "
                "Lower training.learning_rate, or set training.clip_norm"
            )
        if not adopted and before - after < LEAST_GAIN * abs(before):
            raise SimulationError(
                f"The training under seed {recipe.seed} learned nothing: {where}, {before:.4g} before the first "
                "step. Raise training.learning_rate or training.epochs, and check that inputs tell something "
                "about targets"
            )

    def rows(self, recipe: Recipe, replicate: int) -> list[dict[str, Any]]:
        """Mean losses of each source's sample: rows of `learning`."""
        names = ("source_id", "examples", "loss_before_nats", "loss_after_nats")
        found = zip(recipe.data.source_ids, self.sampled, strict=True)
        columns = [(source, len(part), *self._means(part)) for source, part in found]
        return [{"replicate": replicate} | dict(zip(names, row, strict=True)) for row in columns]

    def _means(self, part: NDArray[np.int64]) -> tuple[float, float]:
        """Mean losses of some of the examples, before and after."""
        places = torch.from_numpy(np.searchsorted(self.chosen, part))
        return float(self.before[places].mean()), float(self.after[places].mean())


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many indices below a count, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, most, dtype=np.int64))


def _mean_loss(recipe: Recipe, task: FlatTask, theta: Parameters, examples: int) -> float:
    """Mean training loss over at most so many examples, evenly spaced over the training set."""
    return float(_losses(recipe, task, theta, _spread(len(recipe.data), examples)).mean())


def _losses(recipe: Recipe, task: FlatTask, theta: Parameters, chosen: NDArray[np.int64]) -> torch.Tensor:
    """Training losses of the chosen examples, nats."""
    losses = []
    with torch.no_grad(), allow_recomputation():  # so that a large head computes its logits in chunks
        for part in np.array_split(chosen, -(-len(chosen) // 256)):
            batch, _ = recipe.data.batch(part, recipe.device)
            losses.append(task.losses_at(theta, batch).double())
    return torch.cat(losses)
