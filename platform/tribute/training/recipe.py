"""Everything that determines a training run besides its data, and how to run any part of it again.

Legend: P parameters, K trajectories, B examples of a part of the batch, S sources.
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
from tribute.tasks import FlatTask, Task, build_task
from tribute.training.optimizers import build_optimizer
from tribute.training.recording import read_recording
from tribute.training.schedules import Order, Schedule, horizon_start, settings_schedule
from tribute.training.step import MicroBatch, State, UpdateRule, advance
from tribute.training.training_set import TrainingSet

CPU = torch.device("cpu")
OnStep = Callable[[int, State], None]


class NonFinite(SimulationError):
    """The parameters left the finite numbers at this step."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(step, steps)
        self.step = step

    def __str__(self) -> str:
        step, steps = self.args
        return (
            f"Parameters left the finite numbers at step {step} of {steps}. Lower training.learning_rate, set "
            "training.clip_norm, or raise training.eps_root"
        )


@dataclass(frozen=True)
class Recipe:
    """Task, optimizer, schedule and seed over a training set: `run` replays any stretch of it.

    `recording` is the folder of a training that was recorded elsewhere: its batches and rates are followed.
    """

    task_settings: TaskSettings | Task
    training: TrainingSettings
    data: TrainingSet
    seed: int
    device: torch.device = CPU
    recording: Path | None = None

    @cached_property
    def task(self) -> FlatTask:
        """The model and its two functions."""
        return build_task(self.task_settings, self.training.precision)

    @cached_property
    def rule(self) -> UpdateRule:
        """Clipping and the optimizer."""
        return UpdateRule(build_optimizer(self.training), self.training.clip_norm)

    @cached_property
    def schedule(self) -> Schedule:
        """Learning rate and examples of every step."""
        if self.recording is not None:
            return read_recording(self.recording).schedule(len(self.data))
        return settings_schedule(self.training, len(self.data), self.seed)

    @property
    def steps(self) -> int:
        """T, the length of the whole training."""
        return self.schedule.steps

    def horizon_start(self, horizon: float) -> int:
        """The step from which a simulation of this part of the learning-rate mass runs."""
        return horizon_start(self.schedule.rates, horizon)

    def initial(self) -> State:
        """x_0 of this seed."""
        theta_P = self.task.initial(self.seed).to(self.device)
        return State(theta_P, self.rule.optimizer.init(theta_P))

    def parts(self, order: Order, step: int, weights_S: Tensor) -> list[MicroBatch]:
        """The examples of a step with the weights that their sources' weights give them, [..., S] to [..., B]."""
        found = []
        for index, indices_B in enumerate(order.parts(step)):
            batch, source_B = self.data.batch(indices_B, self.device)
            [dropout] = np.random.SeedSequence([self.seed, step, index]).generate_state(1)
            found.append(MicroBatch(batch, weights_S[..., source_B], int(dropout)))
        return found

    def run(self, state: State, steps: range, weights_S: Tensor, on_step: OnStep | None = None) -> State:
        """The state after `steps`, starting from the state before them, under the given source weights.

        Shapes: theta [P] with weights [S], or theta [K, P] with weights [K, S].

        Raises:
            NonFinite: parameters left the finite numbers; names the step.
        """
        weights_S = weights_S.to(self.device)
        for step in steps:
            parts = self.parts(self.schedule.order, step, weights_S)
            state = advance(self.task, self.rule, state, parts, float(self.schedule.rates[step]), step)
            if not torch.isfinite(state.theta.sum()):
                raise NonFinite(step, self.steps)
            if on_step is not None:
                on_step(step + 1, state)
        return state
