"""What real retraining lost, and how far a method's order agrees with it.

Legend: Q judged queries, S sources, M removals.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.evaluation import GroundTruth, bootstrapped, misallocated, rank_correlation, seed_ceiling
from tribute.evaluation.metrics import rank_correlations
from tribute.evaluation.study import lds_scores

Array = NDArray[np.float64]
RESAMPLES = 200
"""Bootstrap resamples behind an interval."""


class Costs(NamedTuple):
    """Costs of a method, of all its models and for all sources, in processor time of one thread.

    ``stored_bytes``: what it keeps for later queries, beside the models, their recorded states and the training
    examples; None where that is not known.
    """

    prepare_in_trainings: float
    query_in_forwards: float
    stored_bytes: int | None


class Truth(NamedTuple):
    """Real losses: those of the own seed and of others.

    ``others``: what every other seed lost on each removal, [Q, M] nats each, by the name of the sets.
    """

    ground: GroundTruth
    others: Mapping[str, Sequence[Array]]

    def row(self, method: str, kind: str, influence_QS: Array, costs: Costs) -> dict[str, Any]:
        """A line of the table: rank correlations with 95% intervals, the misallocated pool, costs."""
        ground = self.ground
        figures = lds_scores(influence_QS, ground, RESAMPLES, 0)
        figures["leave_source_out"] = bootstrapped(influence_QS, ground.mean_QU, RESAMPLES, 0)
        for part, seeds in self.others.items():
            predicted_QM = influence_QS @ ground.sets[part].T
            stacked = [np.concatenate(pair) for pair in ([predicted_QM] * len(seeds), seeds)]
            figures[f"lds_{part}_other_seed"] = bootstrapped(*stacked, RESAMPLES, 0)
        return {
            "method": method,
            "kind": kind,
            **{name: figure.value if figure else None for name, figure in figures.items()},
            "intervals": {name: [figure.low, figure.high] for name, figure in figures.items() if figure},
            "misallocated_pool": misallocated(influence_QS.sum(0), ground.mean_QU.sum(0)),
            "prepare_in_trainings": costs.prepare_in_trainings,
            "query_in_forwards": costs.query_in_forwards,
            "bytes": costs.stored_bytes,
        }

    def lds_of_queries(self, influence_QS: Array) -> Array:
        """LDS of each query (half, other seed), [Q]."""
        predicted_QM = influence_QS @ self.ground.sets["half"].T
        return np.asarray(
            np.mean([rank_correlations(predicted_QM, lost_QM) for lost_QM in self.others["half"]], 0)
        )

    def ceiling(self) -> dict[str, float | None]:
        """One retrain against another: own against other seeds for LDS, halves of the other seeds otherwise."""
        same_QM, others = self.ground.lost["half", "same"], self.others["half"]
        totals = [one_QS.sum(0) for one_QS in self.ground.leave_one_out]
        return {
            "lds_half_other_seed": float(np.mean([rank_correlation(same_QM, each) for each in others])),
            "leave_source_out": seed_ceiling(self.ground.leave_one_out, rank_correlation),
            "misallocated_pool": seed_ceiling(totals, misallocated),
        }
