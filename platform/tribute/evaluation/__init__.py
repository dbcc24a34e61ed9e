"""How good the estimates are, judged by real retraining."""

from tribute.evaluation.metrics import clipped_shares, misallocated_pool
from tribute.evaluation.retrains import leave_one_out, retrain

__all__ = ["clipped_shares", "leave_one_out", "misallocated_pool", "retrain"]
