"""Replaces the totals of failed simulations.

Legend: R replicates, G groups of queries, S sources.
"""

import numpy as np
from numpy.typing import NDArray


def filled(nats_RGS: NDArray[np.float64], token_share_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """Totals with failed simulations (NaN) replaced by the source's other replicates, or by its tokens' value.

    The value of a token is the positive influence of the other sources per token.
    """
    failed_RS = np.asarray(np.isnan(nats_RGS).any(1))
    if not failed_RS.any():
        return nats_RGS
    counted_S = (~failed_RS).sum(0)
    mean_GS = np.where(failed_RS[:, None], 0.0, nats_RGS).sum(0) / counted_S.clip(1)
    known = token_share_S[counted_S > 0].sum()
    worth_G1 = np.clip(mean_GS, 0, None).sum(1, keepdims=True) / max(known, 1e-300)
    other_GS = np.where(counted_S > 0, mean_GS, worth_G1 * token_share_S)
    return np.where(failed_RS[:, None], other_GS, nats_RGS)
