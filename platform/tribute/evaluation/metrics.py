"""How far shares and influences are from the truth.

Legend: Q queries, S sources, M removals.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def clipped_shares(values: Mapping[str, float]) -> dict[str, float]:
    """Non-negative shares in proportion to the positive values; equal ones if there are none."""
    payable = {payee: max(value, 0.0) for payee, value in values.items()}
    total = sum(payable.values())
    return {payee: value / total if total else 1 / len(payable) for payee, value in payable.items()}


def misallocated_pool(paid: Mapping[str, float], owed: Mapping[str, float]) -> float:
    """Half the L1 distance between two divisions of a pool: the part of the money that goes to the wrong payee.

    Raises:
        KeyError: a payee of one is not in the other.
    """
    if paid.keys() != owed.keys():
        raise KeyError(f"payees differ: {sorted(paid.keys() ^ owed.keys())}")
    return sum(abs(paid[payee] - owed[payee]) for payee in paid) / 2


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's correlation along the last axis, averaged over rows that have any order."""
    ranks = [rankdata(values, axis=-1) for values in (one, other)]
    centred = [rank - rank.mean(-1, keepdims=True) for rank in ranks]
    norm = np.sqrt(np.square(centred[0]).sum(-1) * np.square(centred[1]).sum(-1))
    return float(((centred[0] * centred[1]).sum(-1)[norm > 0] / norm[norm > 0]).mean())


def linear_datamodeling_score(
    influence_QS: NDArray[np.floating], removed_MS: NDArray[np.bool_], lost_QM: NDArray[np.floating]
) -> float:
    """LDS: rank correlation, over M random removals, of summed influences with what was really lost; mean over Q.

    Args:
        removed_MS: the sources that each retraining went without, [M, S].
        lost_QM: measurement with everything minus that without them, nats.

    Source: TRAK, arXiv 2303.14186.
    """
    return rank_correlation(influence_QS @ removed_MS.T.astype(influence_QS.dtype), lost_QM)
