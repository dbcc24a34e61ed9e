"""Everything that determines a training run, and a way to replay any range of its steps.

Legend: K trajectories, B examples of a micro-batch, S sources.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import SimulationError
from tribute.tasks import FlatTask, Frozen, Task, build_task, total
from tribute.training.optimizers import Varying, build_optimizer
from tribute.training.recording import read_recording
from tribute.training.schedules import Order, Schedule, horizon_start, settings_schedule
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
        """Clipping, then the optimizer."""
        optimizer = build_optimizer(self.training)
        changes = () if self.recording is None else read_recording(self.recording).changes
        if any(changes):
            varying = [build_optimizer(self.training.model_copy(update=change)) for change in changes]
            optimizer = Varying(tuple(varying))
        return UpdateRule(optimizer, self.training.clip_norm)

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

        If a step averages over the examples of unequal micro-batches, weights are scaled by size over mean size.
        """
        micro_batches, parts = [], order.micro_batches(step)
        mean = sum(map(len, parts)) / len(parts)
        for index, indices_B in enumerate(parts):
            batch, source_B = self.data.batch(indices_B, self.device)
            [dropout] = np.random.SeedSequence([self.seed, step, index]).generate_state(1)
            weights_B = weights_S[..., source_B]
            if order.over_examples and len(indices_B) != mean:
                weights_B = weights_B * (len(indices_B) / mean)
            micro_batches.append(MicroBatch(batch, weights_B, int(dropout)))
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
