"""Hashes of runs of k integers: 64 bits, evenly spread, so that their first bits divide them into equal parts.

Legend: N integers, M runs, k integers of a run.
"""

import numpy as np
from numpy.typing import NDArray

BASE = np.uint64(0x9E3779B97F4A7C15)
MIXERS = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
HALF = np.uint64(33)
BREAK = 0
"""Stands between documents, and for what can equal nothing. No run holds it."""


def run_hashes(
    value_N: NDArray[np.integer], size: int, first: int = 0, step: int = 1
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the runs of `size` values that begin at `first`, `first + step`, ...; and where they do, [M] each.

    Runs with a `BREAK` are left out. Equal runs have equal hashes; others hardly ever do, and whoever finds one
    compares the values.
    """
    if len(value_N) < first + size:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    value_Mk = np.lib.stride_tricks.sliding_window_view(value_N, size)[first::step]
    hash_M, whole_M = np.zeros(len(value_Mk), np.uint64), np.ones(len(value_Mk), bool)
    for place in range(size):
        column_M = value_Mk[:, place]
        whole_M &= column_M != BREAK
        hash_M = hash_M * BASE + column_M.astype(np.uint64)
    for mixer in MIXERS:
        hash_M = (hash_M ^ (hash_M >> HALF)) * mixer
    hash_M ^= hash_M >> HALF
    return hash_M[whole_M], first + step * np.flatnonzero(whole_M)
