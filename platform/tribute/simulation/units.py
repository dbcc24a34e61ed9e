"""Units of simulation: single sources, groups of sources, or the complements of coalitions.

Redundant sources have no value one at a time. In a random coalition each of them gets a part. Every coalition is
simulated once and serves all sources.

Legend: C coalitions, S sources, U units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from tribute.errors import ConfigError

ALL_SOURCES = "all-sources"
"""Id of the unit that removes everything. Units are sorted by id, and this one must precede the coalitions."""


@dataclass(frozen=True)
class Unit:
    """Sources (indices in the training set) whose weight is lowered together, and the unit's id."""

    unit_id: str
    removed: tuple[int, ...]


def change_matrix(units: Sequence[Unit], sources: int) -> NDArray[np.float32]:
    """Indicator of the sources whose weight each unit lowers, [U, S]."""
    change_US = np.zeros((len(units), sources), dtype=np.float32)
    for row, unit in enumerate(units):
        change_US[row, list(unit.removed)] = 1
    return change_US


def leave_one_out_units(source_ids: Sequence[str]) -> list[Unit]:
    """One unit for each source, with the source's id."""
    return [Unit(source_id, (index,)) for index, source_id in enumerate(source_ids)]


def banzhaf_units(sources: int, coalitions: int, seed: int) -> list[Unit]:
    """Distinct coalitions in complementary pairs; each pair is as likely as every other.

    If there are no more than `coalitions` of them, each occurs once, whatever the seed.
    """
    if 2**sources <= coalitions:
        return _units(_every_pair(sources))
    rng, pairs = np.random.default_rng(seed), coalitions // 2
    return _units(_distinct(lambda: rng.random((pairs, sources)) < 0.5, pairs))


def shapley_units(sources: int, coalitions: int, seed: int, per_source: int = 10) -> list[Unit]:
    """Distinct coalitions in complementary pairs: of each size about as many as its part of the Shapley kernel.

    The first unit removes everything. If there are no more than `coalitions` units in all, each occurs once,
    whatever the seed.

    Args:
        per_source: coalitions needed for each source, unless all of them are fewer. In games of diminishing
            returns (without noise and with 2% and 10%), values from 6 a source were a third worse than equal
            shares for 40 sources, and values from 10 as good; for 8 to 20 sources they were better.

    Raises:
        ConfigError: there are too few coalitions, so the least-squares problem is nearly singular.
    """
    everything = Unit(ALL_SOURCES, tuple(range(sources)))
    if sources == 1:
        return [everything]
    if 2**sources - 1 <= coalitions:
        return [everything, *_units(_every_pair(sources)[1:])]
    if coalitions < per_source * sources:
        least = min(per_source * sources, 2**sources - 1)
        raise ConfigError(
            f"simulation.coalitions is {coalitions}, but Shapley values of {sources} sources need at least {least}"
            f"{', all there are' if least < per_source * sources else ': fewer may be worse than equal shares'}. "
            "Raise it, or use notion: banzhaf"
        )
    rng, (total_K, mass_K) = np.random.default_rng(seed), pair_sizes(sources)
    counts = _apportioned(coalitions // 2, total_K, mass_K)
    drawn = [_of_size(rng, sources, size, count) for size, count in enumerate(counts.tolist(), 1)]
    return [everything, *_units(np.concatenate(drawn))]


def pair_sizes(sources: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Complementary pairs by the size of the smaller coalition, 1 ... S / 2: their number and part of the kernel.

    The kernel's chance of size k is proportional to 1 / (k (S - k)) for k = 1 ... S - 1.
    """
    size_K = np.arange(1, sources // 2 + 1)
    half_K = np.where(2 * size_K == sources, 2, 1)
    mass_K = 1 / (size_K * (sources - size_K) * half_K)
    return np.array([float(comb(sources, size)) for size in size_K.tolist()]) / half_K, mass_K / mass_K.sum()


def _apportioned(pairs: int, total_K: NDArray[np.float64], mass_K: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs to draw of each size: by the kernel, at least two, so that an error can be seen, and at most all."""
    count_K = np.minimum(2, total_K).astype(np.int64)
    while count_K.sum() < pairs:
        count_K[np.where(count_K < total_K, mass_K / (2 * count_K + 1), -1).argmax()] += 1
    return count_K


def _of_size(rng: np.random.Generator, sources: int, size: int, pairs: int) -> NDArray[np.bool_]:
    """Distinct coalitions of one size, none of them the complement of another."""
    return _distinct(lambda: rng.random((pairs, sources)).argsort(1).argsort(1) < size, pairs)


def _distinct(draw: Callable[[], NDArray[np.bool_]], pairs: int) -> NDArray[np.bool_]:
    """The first coalitions of repeated draws that differ from those before and from their complements."""
    found = dict[bytes, NDArray[np.bool_]]()
    while len(found) < pairs:
        for kept_S in draw():
            found.setdefault((kept_S ^ kept_S[0]).tobytes(), kept_S)
    return np.array(list(found.values())[:pairs])


def _every_pair(sources: int) -> NDArray[np.bool_]:
    """One coalition of every complementary pair, that without source 0, [2^(S-1), S]; the empty one first."""
    return (np.arange(2 ** (sources - 1))[:, None] >> np.arange(sources)[::-1] & 1).astype(bool)


def _units(kept_CS: NDArray[np.bool_]) -> list[Unit]:
    paired = np.stack([kept_CS, ~kept_CS], 1).reshape(-1, kept_CS.shape[1])
    return [Unit(f"coalition-{c:06d}", tuple(np.flatnonzero(~kept).tolist())) for c, kept in enumerate(paired)]
