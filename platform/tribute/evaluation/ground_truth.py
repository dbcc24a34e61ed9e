"""The ground truth of an evaluation: what retraining without some units really lost.

Plain arrays, wherever the retrained models came from. A loss is the measurement of the model trained on everything
minus that of the model trained without a set, in nats. A positive loss: the set helped the query.

Legend: Q queries, U units (sources, or groups of sources), M random sets of units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tribute.evaluation.metrics import rank_correlation, seed_ceiling
from tribute.valuation.terms import set_matrix

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GroundTruth:
    """Losses by retraining, under seeds that the estimates were not made with.

    Args:
        leave_one_out: loss without each unit, one array per seed, [Q, U] nats each.
        sets: random sets of units by name, such as `half`, [M, U]; True where a set holds a unit.
        lost: loss without each set, [Q, M] nats, by the set's name and the seed: the estimate's own (`same`) or an
            `other` one, if there is one.
        own: whether the trainings of all seeds are those that the estimates were made with, as where recordings
            are replayed.
    """

    leave_one_out: Sequence[Array]
    sets: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    lost: Mapping[tuple[str, str], Array] = field(default_factory=dict)
    own: bool = False

    @classmethod
    def from_retrains(
        cls,
        leave_one_out: Sequence[Array],
        sets: Mapping[str, Sequence[Sequence[int]]],
        lost: Mapping[tuple[str, str], Array],
        *,
        own: bool = False,
    ) -> "GroundTruth":
        """Ground truth from retrains, some of which diverged (NaN).

        A diverged leave-one-out retrain counts as no loss. A random set that diverged under any seed is left out.

        Args:
            sets: the units of each set, as indices.
        """
        units = leave_one_out[0].shape[1]
        kept, masks = dict[str, NDArray[np.bool_]](), dict[str, NDArray[np.bool_]]()
        for name, chosen in sets.items():
            finite_M = np.all(
                [np.isfinite(lost_QM).all(0) for (part, _), lost_QM in lost.items() if part == name], 0
            )
            masks[name], kept[name] = finite_M, set_matrix(chosen, units)[finite_M]
        finite = {(name, seed): lost_QM[:, masks[name]] for (name, seed), lost_QM in lost.items()}
        return cls([np.nan_to_num(lost_QU) for lost_QU in leave_one_out], kept, finite, own)

    @property
    def mean_QU(self) -> Array:
        """Leave-one-out loss, averaged over the seeds, [Q, U] nats."""
        return np.asarray(np.mean(self.leave_one_out, axis=0))

    def subset(self, queries: slice) -> "GroundTruth":
        """The ground truth of some of the queries."""
        lost = {key: lost_QM[queries] for key, lost_QM in self.lost.items()}
        return GroundTruth([lost_QU[queries] for lost_QU in self.leave_one_out], self.sets, lost, self.own)

    def ceiling(self) -> dict[str, float | None]:
        """Scores that retraining itself reaches, measured against retraining under other seeds.

        `lds_<set>` needs losses under both seeds, else it is None; so is `leave_source_out` for a single seed.
        """
        scores: dict[str, float | None] = dict.fromkeys(f"lds_{name}" for name in self.sets)
        for name in self.sets:
            if (name, "other") in self.lost:
                scores[f"lds_{name}"] = rank_correlation(self.lost[name, "same"], self.lost[name, "other"])
        return scores | {"leave_source_out": seed_ceiling(self.leave_one_out, rank_correlation)}
