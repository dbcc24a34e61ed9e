"""The sets of units that an evaluation retrains without.

Legend: U units (sources, or groups of them), M sets, S sources.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from tribute.simulation import Unit

FULL_TRAINING = "whole"
"""Unit id of the training on all sources."""

SET_FRACTIONS = {"half": 0.5, "tenth": 0.1}
"""Part of the units in a random set, by the set's name."""

TOP_COUNTS = (1, 2, 3)
"""How many of a query's top units are removed together."""

UnitSet = tuple[int, ...]
"""Indices of units."""


def removal(sources: Sequence[int], source_ids: Sequence[str]) -> Unit:
    """The unit that removes a set of sources. Its id depends on their names alone, and is the bank's key."""
    removed = tuple(sorted(sources))
    return Unit(removal_id([source_ids[source] for source in removed]), removed)


def removal_id(removed: Sequence[str]) -> str:
    """The id of a set of sources, given in the order of the training set."""
    names = "\n".join(removed)
    return f"without-{hashlib.sha256(names.encode()).hexdigest()[:20]}"


def random_sets(units: int, part: float, count: int, seed: int) -> list[UnitSet]:
    """`count` distinct random sets of `part` of the units (at least one unit); all sets if there are fewer."""
    size = max(1, round(part * units))
    if comb(units, size) <= count:
        return list(combinations(range(units), size))
    rng, found = np.random.default_rng([seed, size]), dict[UnitSet, None]()
    while len(found) < count:
        found[tuple(sorted(rng.choice(units, size, replace=False).tolist()))] = None
    return list(found)


def top_units(influence_QU: NDArray[np.floating], query: int, count: int) -> UnitSet:
    """The `count` units that helped a query most."""
    return tuple(sorted(np.argsort(-influence_QU[query], kind="stable")[:count].tolist()))


@dataclass(frozen=True)
class RemovalPlan:
    """The sets that an evaluation retrains without.

    ``random``: random sets by name, see `SET_FRACTIONS`. ``top``: for each query in ``queries`` (indices), its top
    units by count. ``largest``: the units with most tokens, by count.
    """

    units: int
    random: Mapping[str, list[UnitSet]]
    queries: list[int]
    top: list[dict[int, UnitSet]]
    largest: dict[int, UnitSet]

    @classmethod
    def draw(
        cls,
        influence_QU: NDArray[np.floating],
        tokens_U: NDArray[np.floating],
        set_count: int,
        top_queries: int,
        seed: int,
    ) -> "RemovalPlan":
        """Draw random sets, and choose the top units of some queries, evenly spaced.

        Args:
            set_count: random sets of each name.
            top_queries: queries whose top units are removed.
        """
        total, units = influence_QU.shape
        random = {name: random_sets(units, part, set_count, seed) for name, part in SET_FRACTIONS.items()}
        counts = [count for count in TOP_COUNTS if count <= units // 2]
        spaced = np.linspace(0, total - 1, min(top_queries, total)).astype(int)
        queries = np.unique(spaced).tolist()
        top = [{count: top_units(influence_QU, query, count) for count in counts} for query in queries]
        largest = {count: top_units(tokens_U[None], 0, count) for count in counts}
        return cls(units, random, queries, top, largest)

    @property
    def singles(self) -> list[UnitSet]:
        """Every unit alone."""
        return [(unit,) for unit in range(self.units)]

    def by_seed(self, estimate_seed: int, other_seeds: Sequence[int]) -> dict[int, list[UnitSet]]:
        """The sets to retrain without under each seed.

        Single units under all seeds; random sets under the estimate's own seed and one other, if there is one; top
        units under its own.
        """
        drawn = [chosen for sets in self.random.values() for chosen in sets]
        sets = {seed: list(self.singles) for seed in [estimate_seed, *other_seeds]}
        sets[estimate_seed] += drawn + sorted(self._top_sets())
        for other in other_seeds[:1]:
            sets[other] += drawn
        return sets

    def counts(self, other_seeds: int) -> dict[str, int]:
        """Number of retrains of each kind, over all seeds."""
        random = {name: (1 + min(other_seeds, 1)) * len(sets) for name, sets in self.random.items()}
        return {"leave_one_out": self.units * (1 + other_seeds), **random, "other": len(self._top_sets())}

    def _top_sets(self) -> set[UnitSet]:
        return {chosen for by_count in [*self.top, self.largest] for chosen in by_count.values()}
