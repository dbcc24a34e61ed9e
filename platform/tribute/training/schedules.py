"""What happens at which step: learning rates, batches, and where a horizon begins."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tribute.config import Training
from tribute.errors import ConfigError


def learning_rates(settings: Training, steps: int) -> NDArray[np.float64]:
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
    return int(np.flatnonzero(tail >= horizon * tail[0])[-1])


@dataclass(frozen=True)
class BatchOrder:
    """Which examples each step sees: a fresh permutation per epoch, derived from the seed alone."""

    examples: int
    batch_size: int
    seed: int

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


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, examples: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(examples)


def training_steps(settings: Training, examples: int) -> int:
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
