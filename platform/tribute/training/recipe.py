"""Everything that determines a training run, and a way to replay any range of its steps.

Legend: K trajectories, B examples of a micro-batch, S sources.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import SimulationError
from tribute.tasks import FlatTask, Frozen, Task, build_task, total
from tribute.training.optimizers import AtRates, Optimizer, Varying, build_optimizer
from tribute.training.recording import read_recording
from tribute.training.schedules import Order, Schedule, horizon_start, loss_scales, settings_schedule
from tribute.training.step import MicroBatch, State, UpdateRule, advance
from tribute.training.stored_model import build_model
from tribute.training.training_set import TrainingSet

CPU = torch.device("cpu")
OnStep = Callable[[int, State], None]


class NonFinite(SimulationError):
    """The parameters are no longer finite at this step."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(step, steps)
        self.step = step

    def __str__(self) -> str:
        step, steps = self.args
        return (
            f"Parameters are no longer finite at step {step} of {steps}. Lower training.learning_rate, set "
            "training.clip_norm, or raise training.eps_root"
        )


@dataclass(frozen=True)
class Recipe:
    """Task, optimizer, schedule and seed over a training set; `run` replays any range of steps.

    `recording` is the folder of a recorded training loop, whose batches and rates are then used. `frozen` holds
    the model's frozen parameters and buffers; by default they are read or built as the training says.
    """

    task_settings: TaskSettings | Task
    training: TrainingSettings
    data: TrainingSet
    seed: int
    device: torch.device = CPU
    recording: Path | None = None
    frozen: Frozen | None = None

    @cached_property
    def task(self) -> FlatTask:
        """The model with its training loss and measurement."""
        if self.frozen is None:
            return build_model(self.task_settings, self.training, self.training.precision)
        return build_task(self.task_settings, self.training.precision).with_frozen(self.frozen)

    @cached_property
    def rule(self) -> UpdateRule:
        """Clipping, then the optimizer of each recorded parameter group."""
        if self.recording is None:
            return UpdateRule(build_optimizer(self.training), self.training.clip_norm)
        recording, own = read_recording(self.recording), dict[str, Optimizer]()
        for group in recording.groups:
            optimizer = AtRates(self._optimizer(group.settings, group.changes), group.rates)
            own |= dict.fromkeys(group.names, optimizer)
        return UpdateRule(self._optimizer({}, recording.changes), self.training.clip_norm, own=own)

    def _optimizer(self, settings: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]) -> Optimizer:
        """The optimizer of `training`, with other settings and with changes at some steps."""
        training = self.training.model_copy(update=settings)
        if not any(changes):
            return build_optimizer(training)
        return Varying(tuple(build_optimizer(training.model_copy(update=change)) for change in changes))

    @cached_property
    def schedule(self) -> Schedule:
        """Learning rate and batch of every step."""
        if self.recording is not None:
            return read_recording(self.recording).schedule(len(self.data))
        return settings_schedule(self.training, len(self.data), self.seed)

    @property
    def steps(self) -> int:
        """T, the number of steps of the whole training."""
        return self.schedule.steps

    def horizon_start(self, horizon: float) -> int:
        """First step of the last part of the training that holds `horizon` of the learning-rate mass."""
        return horizon_start(self.schedule.rates, horizon)

    def initial(self) -> State:
        """x_0: the initial state of this seed."""
        return self.rule.begin(self.task.pieces(self.task.initial(self.seed).to(self.device)))

    def micro_batches(self, order: Order, step: int, weights_S: Tensor) -> list[MicroBatch]:
        """Examples of a step; each has the weight of its source, [..., S] to [..., B].

        Weights are scaled where the loss of a step is another mean than that of its micro-batches' means: see
        `loss_scales`. Without a source, the others keep their factors.
        """
        micro_batches, passes = list[MicroBatch](), order.passes(step)
        scales = loss_scales(passes, over_examples=order.over_examples)
        for index, (each, scale) in enumerate(zip(passes, scales, strict=True)):
            batch, source_B = self.data.batch(each.indices_B, self.device, each.width)
            weights_B = weights_S[..., source_B]
            if scale is not None:
                weights_B = weights_B * torch.as_tensor(scale, dtype=torch.float64).to(weights_B)
            drawn = np.random.SeedSequence([self.seed, step, index]).generate_state(1)[0]
            seed = int(drawn) if each.seed is None else each.seed
            micro_batches.append(MicroBatch(batch, weights_B, seed))
        return micro_batches

    def run(self, state: State, steps: range, weights_S: Tensor, on_step: OnStep | None = None) -> State:
        """Return the state after `steps`, starting from the state before them, under the given source weights.

        Shapes: theta [*shape] with weights [S], or theta [K, *shape] with weights [K, S].

        Args:
            on_step: callback after each step; takes the number of the next step and the state.

        Raises:
            NonFinite: the parameters are no longer finite; names the step.
        """
        weights_S = weights_S.to(self.device)
        for step in steps:
            micro_batches = self.micro_batches(self.schedule.order, step, weights_S)
            state = advance(self.task, self.rule, state, micro_batches, float(self.schedule.rates[step]), step)
            if not torch.isfinite(total(state.theta)):
                raise NonFinite(step, self.steps)
            if on_step is not None:
                on_step(step + 1, state)
        return state
