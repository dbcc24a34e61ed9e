"""Which sources the trainings of the bank leave out.

Legend: K trainings, S sources.
"""

import numpy as np
from numpy.typing import NDArray

REPLICATES, TRUTH = range(3), range(1000, 1024)
"""Seeds of the trainings that tune, and of those that judge."""

FEWER = {"text": 12, "many": 8}
"""Seeds that judge, in markets whose trainings are long."""

FIFTHS, TENTHS, HALVES, PAIRS = 15, 10, 6, 20
"""Random sets of each size under a seed that tunes, at most."""

FEW = 10
"""Sources of a small market, of which fewer sets are made."""


def truth_seeds(world: str) -> range:
    """The seeds that judge a world, MARKET-SPLIT-SETTING."""
    return TRUTH[: FEWER.get(world.partition("-")[0])]


def planned(sources: int, seed: int) -> NDArray[np.uint8]:
    """All that is trained under a seed: nothing removed, every single source; to tune, random sets as well."""
    singles = np.concatenate([np.zeros((1, sources)), np.eye(sources)]).astype(np.uint8)
    if seed in TRUTH:
        return singles
    sizes = {round(sources / 5): FIFTHS, sources // 2: HALVES, 2: PAIRS}
    if sources <= FEW:
        sizes = {sources // 2: HALVES, 2: FIFTHS}
    if sources > 10 * FEW:
        sizes[sources // 10] = TENTHS
    sets = [random_sets(sources, size, count, seed) for size, count in sizes.items()]
    return np.concatenate([singles, *sets])


def random_sets(sources: int, size: int, count: int, seed: int) -> NDArray[np.uint8]:
    """Random sets of so many sources, each another, [K, S]."""
    rng, found = np.random.default_rng([sources, size, seed]), dict[bytes, NDArray[np.uint8]]()
    while len(found) < count:
        row_S = np.zeros(sources, dtype=np.uint8)
        row_S[rng.choice(sources, size, replace=False)] = 1
        found[row_S.tobytes()] = row_S
    return np.stack(list(found.values()))
