"""Recording of a run of `transformers.Trainer`; needs the extra `hf`."""

from importlib import import_module
from pathlib import Path
from typing import Any

from tribute.errors import ConfigError
from tribute.tasks import Task
from tribute.training.trainer.rows import TrainerRows
from tribute.training.training_set import TrainingSet

__all__ = ["TrainerRows", "record"]


def record(
    trainer: Any, folder: str | Path, *, data: TrainingSet, every: int = 100, task: Task | None = None
) -> None:
    """Let a `transformers.Trainer` write a recording while it trains, for `training.recordings`.

    Call it before `trainer.train()`. Which examples a batch holds is found by their tokens, whatever shuffles,
    groups or prefetches them. Warm-up, clipping, accumulation over rows of unequal lengths, parameter groups,
    fused optimizers, bf16, gradient checkpointing, dropout and several processes are recorded as they are. With
    `resume_from_checkpoint`, the recording goes on in the same folder.

    Args:
        trainer: a Trainer of a causal language model, with its default loss.
        folder: new folder for the recording.
        data: the training set: `tribute.training.training_set(project.corpus)`, or `study.data`.
        every: steps between recorded states.
        task: if given, the gradient of the first step is compared with that of its training loss.

    Raises:
        ConfigError: the extra `hf` is not installed; or the Trainer is set to something that cannot be replayed.
            Other things are refused at the first step.

    >>> tribute.record(trainer, "recordings/seed-0", data=study.data)  # doctest: +SKIP
    >>> trainer.train()  # doctest: +SKIP
    """
    try:
        recording = import_module("tribute.training.trainer.recording").TrainerRecording
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("transformers", "accelerate"):
            raise
        raise ConfigError(
            f"tribute.record needs the package {error.name}. Install it: pip install 'tribute[hf]'"
        ) from None
    recording(trainer, Path(folder), data, every, task).attach()
