"""Equal values among many, found by a table instead of sorting.

Legend: N values, M values looked up, S places of a table.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FACTOR = 0x9E3779B97F4A7C15
NOWHERE = -1
AT_ONCE = 2**17
"""Values that a table is made for where they can be divided, so that it stays in the cache."""
LOOKED_UP = 2**16
"""Values that are looked up at once."""
MOST_BITS = 16
SPARE_BITS = 1
"""A table has 2 to 4 places for each value."""

Places = NDArray[np.int64]
Values = NDArray[np.uint64]
Marks = NDArray[np.bool_]


def repeated(hash_N: Values, at_once: int = AT_ONCE) -> Marks:
    """Whether another hash is equal to each, [N]; by parts of about `at_once` hashes with the same first bits."""
    bits = min((len(hash_N) // at_once).bit_length(), MOST_BITS)
    if not bits:
        return FirstPlaces(hash_N).repeated_N
    found_N = np.zeros(len(hash_N), bool)
    part_N = (hash_N >> np.uint64(64 - bits)).astype(np.uint8 if bits <= 8 else np.uint16)
    order_N = np.argsort(part_N, kind="stable")
    end_p = np.cumsum(np.bincount(part_N, minlength=1 << bits)).tolist()
    for begin, end in pairwise([0, *end_p]):
        at = order_N[begin:end]
        found_N[at] = FirstPlaces(hash_N[at]).repeated_N
    return found_N


class _Level(NamedTuple):
    """A table: the first of the values that share a place of it."""

    factor: np.uint64
    shift: np.uint64
    first_S: NDArray[np.integer]

    def slots(self, value_N: Values) -> Places:
        return ((value_N * self.factor) >> self.shift).view(np.int64)


class FirstPlaces:
    """Where each value occurs first.

    Values that share a place of the table with another one that came before go on to the next table, which spreads
    them otherwise. So equal values always stay together, and every comparison is of whole values.

    Attributes:
        first_N: the first place of a value that is equal to this one.
    """

    def __init__(self, value_N: Values) -> None:
        self._value_N, self._levels = value_N, list[_Level]()
        self.first_N, rest = self._won(np.arange(len(value_N)), value_N)
        while len(rest):
            won_n, again = self._won(rest, value_N[rest])
            self.first_N[rest], rest = won_n, rest[again]

    def of(self, value_M: Values) -> Places:
        """Where values occur first, [M]; `NOWHERE` for one that does not occur."""
        if not len(self._value_N):
            return np.full(len(value_M), NOWHERE)
        parts = [self._found(value_M[first : first + LOOKED_UP]) for first in range(0, len(value_M), LOOKED_UP)]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def _found(self, value_m: Values) -> Places:
        found_m, rest = np.full(len(value_m), NOWHERE), None
        for level in self._levels:
            value_n = value_m if rest is None else value_m[rest]
            at_n = level.first_S.take(level.slots(value_n))
            same_n = self._value_N.take(at_n, mode="clip") == value_n  # which is never so at an empty place
            on = np.flatnonzero((at_n < len(self._value_N)) > same_n)
            found_n = np.where(same_n, at_n, NOWHERE)
            if rest is None:
                found_m, rest = found_n, on
            else:
                found_m[rest], rest = found_n, rest[on]
            if not len(rest):
                break
        return found_m.astype(np.int64, copy=False)

    @property
    def came_before_N(self) -> Marks:
        """Whether an equal value came before each."""
        return np.asarray(self.first_N < np.arange(len(self.first_N)))

    @property
    def repeated_N(self) -> Marks:
        """Whether another value is equal to each."""
        found_N = self.came_before_N
        found_N[self.first_N[found_N]] = True
        return found_N

    def _won(self, place_n: Places, value_n: Values) -> tuple[Places, Places]:
        """The first value with the same place of a new table as each, and where it is another value."""
        bits, none = len(place_n).bit_length() + SPARE_BITS, len(self._value_N)
        factor = np.uint64(pow(FACTOR, len(self._levels) + 1, 2**64))
        dtype = np.int32 if none < 2**31 else np.int64
        level = _Level(factor, np.uint64(64 - bits), np.full(1 << bits, none, dtype))
        self._levels.append(level)
        slot_n = level.slots(value_n)
        np.minimum.at(level.first_S, slot_n, place_n.astype(dtype))
        won_n = level.first_S[slot_n].astype(np.int64)
        return won_n, np.flatnonzero(self._value_N[won_n] != value_n)
