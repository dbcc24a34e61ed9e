"""Which sets of sources a model is really retrained without, to judge estimates by.

Legend: U units (sources, or groups of them), M sets, S sources.
"""

import hashlib
from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from tribute.simulation import Unit

WHOLE = "whole"
"""Id of the training that goes without nothing."""


def removal(sources: Sequence[int], source_ids: Sequence[str]) -> Unit:
    """A set of sources to leave out, under an id that follows from their names alone: the bank's key."""
    removed = tuple(sorted(sources))
    names = "\n".join(source_ids[source] for source in removed)
    return Unit(f"without-{hashlib.sha256(names.encode()).hexdigest()[:20]}", removed)


def random_sets(units: int, part: float, count: int, seed: int) -> list[tuple[int, ...]]:
    """Distinct random sets of `part` of the units (at least one); all of them if there are at most `count`."""
    size = max(1, round(part * units))
    if comb(units, size) <= count:
        return list(combinations(range(units), size))
    rng, found = np.random.default_rng([seed, size]), dict[tuple[int, ...], None]()
    while len(found) < count:
        found[tuple(sorted(rng.choice(units, size, replace=False).tolist()))] = None
    return list(found)


def set_matrix(sets: Sequence[Sequence[int]], units: int) -> NDArray[np.bool_]:
    """True where a set holds a unit, [M, U]."""
    held_MU = np.zeros((len(sets), units), dtype=bool)
    for row, chosen in enumerate(sets):
        held_MU[row, list(chosen)] = True
    return held_MU


def first_units(influence_QU: NDArray[np.floating], query: int, count: int) -> tuple[int, ...]:
    """The `count` units that helped a query most."""
    return tuple(sorted(np.argsort(-influence_QU[query], kind="stable")[:count].tolist()))
