"""Everything that determines a training run besides its data, and how to run any part of it again.

Legend: P parameters, K trajectories, B examples of a batch, S sources.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.config import TaskSettings, Training
from tribute.errors import SimulationError
from tribute.tasks import FlatTask, build_task
from tribute.training.optimizers import Optimizer, build_optimizer
from tribute.training.schedules import BatchOrder, horizon_start, learning_rates, training_steps
from tribute.training.step import State, advance
from tribute.training.training_set import TrainingSet

CPU = torch.device("cpu")
OnStep = Callable[[int, State], None]


class NonFinite(SimulationError):
    """Some trajectories left the finite numbers: at this step, in these rows of the stack."""

    def __init__(self, step: int, steps: int, rows: list[int]) -> None:
        super().__init__(step, steps, rows)
        self.step, self.rows = step, rows

    def __str__(self) -> str:
        step, steps, rows = self.args
        return (
            f"Parameters left the finite numbers at step {step} of {steps} (trajectories {rows}). "
            "Lower training.learning_rate, or raise training.eps"
        )


@dataclass(frozen=True)
class Recipe:
    """Task, optimizer, schedule and seed over a training set: `run` replays any stretch of it."""

    task_settings: TaskSettings
    training: Training
    data: TrainingSet
    seed: int
    device: torch.device = CPU

    @cached_property
    def task(self) -> FlatTask:
        """The model and its two functions."""
        return build_task(self.task_settings)

    @cached_property
    def optimizer(self) -> Optimizer:
        """The update rule."""
        return build_optimizer(self.training)

    @cached_property
    def steps(self) -> int:
        """T, the length of the whole training."""
        return training_steps(self.training, len(self.data))

    @cached_property
    def rates(self) -> NDArray[np.float64]:
        """Learning rate of every step, [T]."""
        return learning_rates(self.training, self.steps)

    def horizon_start(self, horizon: float) -> int:
        """The step from which a simulation of this part of the learning-rate mass runs."""
        return horizon_start(self.rates, horizon)

    def initial(self) -> State:
        """x_0 of this seed."""
        theta_P = self.task.initial(self.seed).to(self.device)
        return State(theta_P, self.optimizer.init(theta_P))

    def run(self, state: State, steps: range, weights_S: Tensor, on_step: OnStep | None = None) -> State:
        """The state after `steps`, starting from the state before them, under the given source weights.

        Shapes: theta [P] with weights [S], or theta [K, P] with weights [K, S].

        Raises:
            NonFinite: parameters left the finite numbers; names the step and the trajectories.
        """
        order = BatchOrder(len(self.data), self.training.batch_size, self.seed)
        weights_S = weights_S.to(self.device)
        for step in steps:
            batch, source_B = self.data.batch(order.indices(step), self.device)
            weights = weights_S[..., source_B]
            state = advance(self.task, self.optimizer, state, batch, weights, float(self.rates[step]), step)
            self._check_finite(state.theta, step)
            if on_step is not None:
                on_step(step + 1, state)
        return state

    def _check_finite(self, theta: Tensor, step: int) -> None:
        finite = torch.atleast_1d(torch.isfinite(theta.sum(-1)))
        if not finite.all():
            raise NonFinite(step, self.steps, torch.nonzero(~finite)[:, 0].tolist())
