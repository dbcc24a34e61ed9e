"""Bootstrap intervals of period totals over queries and replicates.

Legend: R replicates, G groups of queries, S sources, N resamples.
"""

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


def resampled_totals(nats_RGS: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Totals of resampled periods, [N, S]: replicates and groups of queries drawn with replacement.

    Drawing R replicates out of R understates their variance by (R - 1) / R; the replicate part of every
    deviation is widened by the root of the inverse. With one replicate only the queries are resampled.
    """
    rng = np.random.default_rng(seed)
    replicates, groups, _ = nats_RGS.shape
    counts_NG = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)
    counts_NR = rng.multinomial(replicates, np.full(replicates, 1 / replicates), size=resamples) / replicates
    widening = np.sqrt(replicates / max(replicates - 1, 1))
    weight_NR = 1 / replicates + widening * (counts_NR - 1 / replicates)
    totals_RNS = np.stack([counts_NG @ nats_GS for nats_GS in nats_RGS])
    return np.einsum("nr,rns->ns", weight_NR, totals_RNS)


def interval(values_NS: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of each column, ([S], [S])."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values_NS, [tail, 1 - tail], axis=0)
    return low, high
