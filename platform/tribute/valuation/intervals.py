"""Intervals of values, and of shares, from joint draws of all values.

Legend: S sources, P payees, N draws.
"""

import numpy as np
from numpy.typing import NDArray

from tribute.valuation.posterior import shares

CONFIDENCE = 0.95


def interval(values_NS: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of each column, ([S], [S])."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values_NS, [tail, 1 - tail], axis=0)
    return low, high


def share_interval(
    values_NP: NDArray[np.float64], fallback_P: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of each payee's share, ([P], [P]), from joint draws of the payees' values.

    A draw's shares are its values above zero over their sum, so they follow what all payees' values do together.

    Args:
        fallback_P: the shares of a draw in which no value is above zero.
    """
    return interval(shares(values_NP, fallback_P))
