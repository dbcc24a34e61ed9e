"""Draws that depend on a seed alone."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


class Chance:
    """A generator of small decisions."""

    def __init__(self, *seed: int) -> None:
        self.numbers = np.random.default_rng(list(seed))

    def happens(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.numbers.random() < probability)

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self.numbers.integers(low, high + 1))

    def of(self, options: Iterable[T]) -> T:
        """One of several options."""
        every = list(options)
        return every[self.whole(0, len(every) - 1)]

    def some(self, options: Iterable[T], count: int) -> list[T]:
        """Different options, in a drawn order; all of them if there are fewer."""
        every = list(options)
        return [every[index] for index in self.numbers.permutation(len(every))[:count]]

    def mixed(self, options: Sequence[tuple[float, T]]) -> T:
        """One of several options with their weights."""
        weights = np.array([weight for weight, _ in options])
        return options[int(self.numbers.choice(len(options), p=weights / weights.sum()))][1]

    def normal(self, *shape: int) -> Any:
        """Standard normal numbers in single precision."""
        return self.numbers.normal(size=shape).astype(np.float32)

    def parts(self, total: int, count: int) -> list[int]:
        """A whole number cut into parts of at least 1."""
        cuts = sorted(self.numbers.choice(np.arange(1, total), count - 1, replace=False).tolist())
        return [after - before for before, after in zip([0, *cuts], [*cuts, total], strict=True)]
