"""How good the estimates are, judged by real retraining."""

from tribute.evaluation.metrics import (
    clipped_shares,
    linear_datamodeling_score,
    misallocated_pool,
    rank_correlation,
)

__all__ = [
    "clipped_shares",
    "linear_datamodeling_score",
    "misallocated_pool",
    "rank_correlation",
]
