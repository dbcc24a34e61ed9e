"""How good the estimates are, judged by real retraining."""

from tribute.evaluation.baselines import guesses
from tribute.evaluation.certificate import render_certificate
from tribute.evaluation.ground_truth import Truth, judged_influence, payee_intervals, pool_figures, row
from tribute.evaluation.metrics import (
    Figure,
    bootstrapped,
    clipped_shares,
    linear_datamodeling_score,
    misallocated,
    misallocated_pool,
    rank_correlation,
    seed_ceiling,
)
from tribute.evaluation.records import MEASURED, certificate_json, certificate_record, read_certificate
from tribute.evaluation.removals import WHOLE, first_units, random_sets, removal, set_matrix

__all__ = [
    "MEASURED",
    "WHOLE",
    "Figure",
    "Truth",
    "bootstrapped",
    "certificate_json",
    "certificate_record",
    "clipped_shares",
    "first_units",
    "guesses",
    "judged_influence",
    "linear_datamodeling_score",
    "misallocated",
    "misallocated_pool",
    "payee_intervals",
    "pool_figures",
    "random_sets",
    "rank_correlation",
    "read_certificate",
    "removal",
    "render_certificate",
    "row",
    "seed_ceiling",
    "set_matrix",
]
