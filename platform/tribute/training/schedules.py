"""Schedules: learning rates, batches, and the first step of a horizon."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tribute.config import TrainingSettings
from tribute.errors import ConfigError

ROUNDING = 1e-9
"""Relative learning-rate mass that a horizon may lack, since sums of rates are rounded."""


class Pass(NamedTuple):
    """A micro-batch: the indices of its examples, [B], and, where a recording says them, three more things.

    `share_B` are the factors of the examples' losses in the loss of the step, [B]. `seed` is that of what its
    forward pass draws. `width` is the number of tokens of its rows, padding included, on which draws and roundings
    depend.
    """

    indices_B: NDArray[np.int64]
    share_B: NDArray[np.float64] | None = None
    seed: int | None = None
    width: int | None = None


class Order(Protocol):
    """The examples of each step."""

    @property
    def over_examples(self) -> bool:
        """Whether a step averages over its examples, not over the means of micro-batches of unequal sizes."""
        ...

    def micro_batches(self, step: int) -> list[NDArray[np.int64]]:
        """Example indices of a step, by micro-batch."""
        ...

    def passes(self, step: int) -> list[Pass]:
        """The micro-batches of a step."""
        ...


def loss_scales(passes: Sequence[Pass], *, over_examples: bool) -> list[NDArray[np.float64] | float | None]:
    """Factors of the examples' weights in the mean of the micro-batches' means, [B] or one; None: none is needed.

    With shares, a factor is share x B x micro-batches, so that the loss of the step is the sum of share x loss. If
    the step averages over the examples of unequal micro-batches, it is their size over the mean size.
    """
    mean = sum(len(each.indices_B) for each in passes) / len(passes)
    found = list[NDArray[np.float64] | float | None]()
    for each in passes:
        size = len(each.indices_B)
        if each.share_B is not None:
            found.append(each.share_B * (size * len(passes)))
        else:
            found.append(size / mean if over_examples and size != mean else None)
    return found


@dataclass(frozen=True)
class Schedule:
    """Learning rates, [T], and examples of every step of a training."""

    rates: NDArray[np.float64]
    order: Order

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(self.rates)


def learning_rates(settings: TrainingSettings, steps: int) -> NDArray[np.float64]:
    """Rate of every step, [steps]: a linear warm-up, then constant, cosine or linear decay."""
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
    """A new permutation of the examples for each epoch; batches are cut into `accumulation` micro-batches."""

    examples: int
    batch_size: int
    seed: int
    accumulation: int = 1

    @property
    def over_examples(self) -> bool:
        """No: micro-batches are equal."""
        return False

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one epoch; the remainder of the permutation is skipped."""
        return self.examples // self.batch_size

    def indices(self, step: int) -> NDArray[np.int64]:
        """Example indices of the batch of a step, [batch_size]."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return _permutation(self.seed, epoch, self.examples)[
            position * self.batch_size : (position + 1) * self.batch_size
        ]

    def micro_batches(self, step: int) -> list[NDArray[np.int64]]:
        """The batch of a step in equal micro-batches."""
        return np.split(self.indices(step), self.accumulation)

    def passes(self, step: int) -> list[Pass]:
        """The same, of which nothing more is recorded."""
        return [Pass(indices_B) for indices_B in self.micro_batches(step)]


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, examples: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(examples)


def training_steps(settings: TrainingSettings, examples: int) -> int:
    """Number of steps of the whole training.

    Raises:
        ConfigError: the corpus has fewer examples than one batch.
    """
    if examples < settings.batch_size:
        raise ConfigError(
            f"training.batch_size is {settings.batch_size}, but the corpus has only {examples} examples. "
            "Lower the batch size, or add examples"
        )
    return max(1, round(settings.epochs * (examples // settings.batch_size)))


def settings_schedule(settings: TrainingSettings, examples: int, seed: int) -> Schedule:
    """The schedule that `training` describes; raises what `training_steps` raises."""
    rates = learning_rates(settings, training_steps(settings, examples))
    return Schedule(rates, BatchOrder(examples, settings.batch_size, seed, settings.accumulation))
