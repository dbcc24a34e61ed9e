"""How good influence estimates and values are, measured against retraining. Takes arrays; needs no project.

`random_sets` and `RemovalPlan` say what to retrain without, `GroundTruth` holds what the retrains lost, and
`EvaluationStudy` scores estimates against it. The certificate page and its records are in `certificate` and
`records`, which load matplotlib.
"""

from tribute.evaluation.adopted import adopted_warnings, judging_seeds, unseen
from tribute.evaluation.baselines import guesses
from tribute.evaluation.figures import Certificate
from tribute.evaluation.ground_truth import GroundTruth
from tribute.evaluation.metrics import (
    bootstrapped,
    clipped_shares,
    linear_datamodeling_score,
    misallocated,
    misallocated_pool,
    rank_correlation,
    seed_ceiling,
)
from tribute.evaluation.removals import (
    FULL_TRAINING,
    RemovalPlan,
    random_sets,
    removal,
    removal_id,
    top_units,
)
from tribute.evaluation.study import (
    EvaluationStudy,
    Scores,
    ValueScores,
    better_estimate_warning,
    brittleness,
    evaluation_warnings,
)

__all__ = [
    "FULL_TRAINING",
    "Certificate",
    "EvaluationStudy",
    "GroundTruth",
    "RemovalPlan",
    "Scores",
    "ValueScores",
    "adopted_warnings",
    "better_estimate_warning",
    "bootstrapped",
    "brittleness",
    "clipped_shares",
    "evaluation_warnings",
    "guesses",
    "judging_seeds",
    "linear_datamodeling_score",
    "misallocated",
    "misallocated_pool",
    "random_sets",
    "rank_correlation",
    "removal",
    "removal_id",
    "seed_ceiling",
    "top_units",
    "unseen",
]
