"""How good the estimates are, judged by real retraining."""

from tribute.evaluation.metrics import (
    clipped_shares,
    linear_datamodeling_score,
    misallocated_pool,
    rank_correlation,
)
from tribute.evaluation.retrains import leave_one_out, retrain

__all__ = [
    "clipped_shares",
    "leave_one_out",
    "linear_datamodeling_score",
    "misallocated_pool",
    "rank_correlation",
    "retrain",
]
