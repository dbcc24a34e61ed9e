"""What happens at which step: learning rates, batches, and where a horizon begins."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tribute.config import TrainingSettings
from tribute.errors import ConfigError

ROUNDING = 1e-9
"""Learning-rate mass that a horizon may miss: sums of equal rates are rounded."""


class Order(Protocol):
    """Which examples each step sees."""

    def parts(self, step: int) -> list[NDArray[np.int64]]:
        """Indices of the examples of a step, in the parts in which their gradient is accumulated."""
        ...


@dataclass(frozen=True)
class Schedule:
    """What happens at every step of a training: its learning rate, [T], and its examples."""

    rates: NDArray[np.float64]
    order: Order

    @property
    def steps(self) -> int:
        """T, the length of the whole training."""
        return len(self.rates)


def learning_rates(settings: TrainingSettings, steps: int) -> NDArray[np.float64]:
    """The rate of every step, [steps]: a linear warm-up, then constant, cosine or linear decay."""
    warmup = math.ceil(settings.warmup * steps)
    rising = (np.arange(warmup) + 1) / max(warmup, 1)
    after = np.arange(steps - warmup) / max(steps - warmup - 1, 1)
    falling = {
        "constant": np.ones_like(after),
        "cosine": settings.final_rate + (1 - settings.final_rate) * (1 + np.cos(np.pi * after)) / 2,
        "linear": 1 - (1 - settings.final_rate) * after,
    }[settings.schedule]
    return settings.learning_rate * np.concatenate([rising, falling])


def horizon_start(rates: NDArray[np.float64], horizon: float) -> int:
    """First step of the shortest tail that holds at least `horizon` of the learning-rate mass."""
    if horizon >= 1:
        return 0
    tail = np.cumsum(rates[::-1])[::-1]
    return int(np.flatnonzero(tail >= (horizon - ROUNDING) * tail[0])[-1])


@dataclass(frozen=True)
class BatchOrder:
    """A fresh permutation of the examples per epoch, derived from the seed; batches in `accumulation` parts."""

    examples: int
    batch_size: int
    seed: int
    accumulation: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass; the rest of a permutation is left out."""
        return self.examples // self.batch_size

    def indices(self, step: int) -> NDArray[np.int64]:
        """Examples of the batch of `step`, [batch_size]."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return _permutation(self.seed, epoch, self.examples)[
            position * self.batch_size : (position + 1) * self.batch_size
        ]

    def parts(self, step: int) -> list[NDArray[np.int64]]:
        """The batch of `step` in equal parts."""
        return np.split(self.indices(step), self.accumulation)


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, examples: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(examples)


def training_steps(settings: TrainingSettings, examples: int) -> int:
    """Number of steps of the whole training.

    Raises:
        ConfigError: the corpus does not fill one batch.
    """
    if examples < settings.batch_size:
        raise ConfigError(
            f"training.batch_size is {settings.batch_size}, but the corpus has only {examples} examples. "
            "Lower the batch size or add text"
        )
    return max(1, round(settings.epochs * (examples // settings.batch_size)))


def settings_schedule(settings: TrainingSettings, examples: int, seed: int) -> Schedule:
    """The schedule that `training` describes; raises what `training_steps` raises."""
    rates = learning_rates(settings, training_steps(settings, examples))
    return Schedule(rates, BatchOrder(examples, settings.batch_size, seed, settings.accumulation))
