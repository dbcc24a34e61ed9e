"""Intervals of values from their joint draws.

Legend: S sources, N draws.
"""

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


def interval(values_NS: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of each column, ([S], [S])."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values_NS, [tail, 1 - tail], axis=0)
    return low, high
