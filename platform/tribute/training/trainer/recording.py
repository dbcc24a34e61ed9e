"""Records a run of `transformers.Trainer`, by a callback and around its `training_step`."""

from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import Trainer, TrainerCallback

from tribute.errors import ConfigError
from tribute.tasks import Task
from tribute.training.recorder import ONE_PROCESS, Ranks, Recorder
from tribute.training.trainer.look_up import RowIndex
from tribute.training.trainer.refusals import precision_of, refuse_arguments
from tribute.training.training_set import TrainingSet


class TrainerRecording(TrainerCallback):
    """Records a Trainer: `attach` adds it to the callbacks, and wraps `training_step`.

    Raises:
        ConfigError: see `tribute.record`.
    """

    def __init__(self, trainer: Any, folder: Path, data: TrainingSet, every: int, task: Task | None) -> None:
        if not isinstance(trainer, Trainer):
            raise ConfigError(
                f"tribute.record got a {type(trainer).__name__}, expected a transformers.Trainer. Record another "
                "loop with tribute.training.Recorder"
            )
        refuse_arguments(trainer)
        self._trainer, self._folder, self._data, self._every, self._task = trainer, folder, data, every, task
        self._rows, self._recorder = RowIndex(data), None

    _recorder: Recorder | None

    def attach(self) -> None:
        """Let the Trainer call this recording, and no earlier one."""
        trainer: Any = self._trainer
        earlier = trainer.pop_callback(TrainerRecording)
        if earlier is not None:
            earlier.detach()
        self._training_step = trainer.training_step
        trainer.add_callback(self)
        trainer.training_step = self._step

    def detach(self) -> None:
        """Leave the Trainer as it was; a recording that is under way ends at its last step."""
        trainer: Any = self._trainer
        trainer.training_step = self._training_step
        self._end(complete=False)

    def on_train_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """Begin the recording, or go on with it after a checkpoint."""
        del control, options
        trainer: Any = self._trainer
        self._end(complete=False)  # of a training that was interrupted
        refuse_arguments(trainer)
        optimizer = trainer.optimizer
        while isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
            optimizer = optimizer.optimizer
        ranks = ONE_PROCESS if args.world_size == 1 else Ranks(args.process_index, gather_object)
        self._recorder = Recorder(
            self._folder,
            trainer.model,
            optimizer,
            args.max_grad_norm or None,
            self._every,
            task=self._task,
            data=self._data,
            precision=precision_of(trainer),
            seed=args.seed,
            step=state.global_step,
            ranks=ranks,
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """End the recording."""
        del args, state, control, options
        self._end(complete=True)

    def _end(self, *, complete: bool) -> None:
        if self._recorder is not None:
            self._recorder.close(complete=complete)
            self._recorder = None

    def _step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Record a micro-batch and train on it, under a seed of its own."""
        if self._recorder is None:
            return self._training_step(model, inputs, num_items_in_batch)
        found, (rows, columns) = self._rows.found(inputs), inputs["input_ids"].shape
        share = self._share_of_token(sum(row.tokens for row in found), num_items_in_batch)
        width = None if len(found) > rows else int(columns)
        device = self._trainer.args.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            self._recorder.batch(
                [row.example for row in found], [row.tokens * share for row in found], width=width
            )
            loss = self._training_step(model, inputs, num_items_in_batch)
        if width is None and self._recorder.draws:
            raise ConfigError(
                "The model drops out units, and the Trainer's batch has several examples in a row, of which a "
                "replay would drop out other ones. Set the model's dropout to 0, or do not pack"
            )
        return loss

    def _share_of_token(self, tokens: int, items: Any) -> float:
        """Factor of the loss of a token in the loss of the step, which is a mean over all processes.

        A model that takes `num_items_in_batch` divides by it; another one gives the mean of the micro-batch, of
        which the Trainer takes the mean.
        """
        trainer: Any = self._trainer
        if items is None or not trainer.model_accepts_loss_kwargs:
            counted = max(tokens, 1) * trainer.current_gradient_accumulation_steps
            return 1 / (counted * trainer.args.world_size)
        scale = trainer.args.world_size if trainer.args.average_tokens_across_devices else 1
        return scale / (float(items) * trainer.args.world_size)
