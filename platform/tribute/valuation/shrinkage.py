"""Shrinks attributed values towards token-count shares, by the disagreement of the replicates.

A rule of thumb for values that are not calibrated to retraining. A few replicates of a short horizon are noisy,
and token counts are a decent guess of the retraining result, so the two are averaged.

Legend: R replicates, S sources.
"""

import numpy as np
from numpy.typing import NDArray

UNCALIBRATED_FLOOR = 0.5
"""Least weight of the token count while the bias of a short horizon is unknown."""

SINGLE_REPLICATE = 0.75
"""Weight of the token count for a single replicate, whose noise is unknown."""


def token_weight(values_RS: NDArray[np.float64], token_share_S: NDArray[np.float64]) -> float:
    """The weight kappa of the token-count share, from 0 to 1.

    kappa = max(1/2, noise / distance), at most 1: the positive-part James-Stein weight. The noise is the
    variance of the replicates' mean share, summed over sources; the distance is the squared distance of that
    mean from the token share. kappa is 1 if no source helped in some replicate.
    """
    totals_R = np.clip(values_RS, 0, None).sum(1)
    if not totals_R.all():
        return 1.0
    if len(values_RS) == 1:
        return SINGLE_REPLICATE
    share_RS = values_RS / totals_R[:, None]
    noise = share_RS.var(0, ddof=1).sum() / len(share_RS)
    distance = np.square(share_RS.mean(0) - token_share_S).sum()
    return float(np.clip(noise / distance, UNCALIBRATED_FLOOR, 1)) if distance else 1.0


def shrink(value_S: NDArray[np.float64], token_share_S: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """(1 - kappa) v_s + kappa T c_s, with T the sum of the positive values; any leading shape, nats."""
    total = np.clip(value_S, 0, None).sum(-1, keepdims=True)
    return (1 - weight) * value_S + weight * total * token_share_S
