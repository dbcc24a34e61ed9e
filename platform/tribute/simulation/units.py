"""Units of simulation: single sources, groups of sources, or the complements of coalitions.

Redundant sources have no value one at a time. In a random coalition each of them gets a part. Every coalition is
simulated once and serves all sources.

Legend: C coalitions, S sources, U units.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """Coalitions in complementary pairs; each holds every source with probability 1/2.

    If there are no more than `coalitions` of them, each occurs once, whatever the seed.
    """
    if 2**sources <= coalitions:
        return _units(_every_pair(sources))
    rng = np.random.default_rng(seed)
    return _units(rng.random((coalitions // 2, sources)) < 0.5)


def shapley_units(sources: int, coalitions: int, seed: int, per_source: int = 10) -> list[Unit]:
    """Coalitions of the Shapley kernel in complementary pairs: P(size k) is proportional to 1 / (k (S - k)).

    The first unit removes everything. If there are no more than `coalitions` of them, each occurs once, whatever
    the seed.

    Args:
        per_source: coalitions needed for each source. In games of diminishing returns (8 to 40 sources, 2% and
            10% noise), values from 6 were no better than equal shares; values from 10 were better.

    Raises:
        ConfigError: there are too few coalitions, so the least-squares problem is nearly singular.
    """
    if coalitions < per_source * sources:
        raise ConfigError(
            f"simulation.coalitions is {coalitions}, but Shapley values of {sources} sources need at least "
            f"{per_source * sources}: fewer are worse than equal shares. Raise it, or use notion: banzhaf"
        )
    rng = np.random.default_rng(seed)
    everything = Unit(ALL_SOURCES, tuple(range(sources)))
    if sources == 1:
        return [everything]
    if 2**sources <= coalitions:
        return [everything, *_units(_every_pair(sources)[1:])]
    sizes = np.arange(1, sources)
    chance = 1 / (sizes * (sources - sizes))
    drawn = rng.choice(sizes, size=coalitions // 2, p=chance / chance.sum())
    ranks = np.argsort(np.argsort(rng.random((len(drawn), sources)), axis=1), axis=1)
    return [everything, *_units(ranks < drawn[:, None])]


def _every_pair(sources: int) -> NDArray[np.bool_]:
    """One coalition of every complementary pair, that without source 0, [2^(S-1), S]; the empty one first."""
    return (np.arange(2 ** (sources - 1))[:, None] >> np.arange(sources)[::-1] & 1).astype(bool)


def _units(kept_CS: NDArray[np.bool_]) -> list[Unit]:
    paired = np.stack([kept_CS, ~kept_CS], 1).reshape(-1, kept_CS.shape[1])
    return [Unit(f"coalition-{c:06d}", tuple(np.flatnonzero(~kept).tolist())) for c, kept in enumerate(paired)]
