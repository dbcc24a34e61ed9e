"""A head's predictions by source: answers, and what they add to the sums of live queries.

Legend: k coordinates, R replicates, S sources, Q queries, G groups of queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.readout.head import Head, UnitSums

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SourceHead:
    """A head with the units added up to sources, [R, k, S] nats; NaN: a simulation failed."""

    column_RkS: Array

    @classmethod
    def of(cls, head: Head, design: UnitSums) -> "SourceHead":
        """The predictions of a head by source."""
        columns = [design.influence(column_kU) for column_kU in head.column_kRU.transpose(1, 0, 2)]
        return cls(np.stack(columns))


class LiveUses(NamedTuple):
    """Uses that one head predicted: uses [Q], groups [Q], coordinates [Q, k], drawn [Q] with probability [Q]."""

    head: SourceHead
    uses_Q: Array
    group_Q: NDArray[np.int64]
    coordinates_Qk: NDArray[np.float32]
    drawn_Q: NDArray[np.bool_]
    probability_Q: Array


class LiveTotals(NamedTuple):
    """Sums of predictions by replicate, group and source, [R, G, S] nats; `groups`: those that have a use.

    `predicted_RGS` sums u g over all uses, `expanded_RGS` sums u g / p over the drawn ones.
    """

    groups: NDArray[np.int64]
    predicted_RGS: Array
    expanded_RGS: Array

    def rows(self, run_id: str, source_ids: Sequence[str]) -> pa.Table:
        """Rows of the table `predicted`; none where a simulation failed."""
        return predicted_table(run_id, source_ids, self.groups, self.predicted_RGS, self.expanded_RGS)


def live_totals(parts: Sequence[LiveUses]) -> LiveTotals:
    """What the predictions add to the sums over drawn uses: sum u g - sum over drawn u g / p.

    With sum over drawn u I / p that is the difference estimator under Poisson sampling. It is unbiased, whatever
    the heads and probabilities are, if both were fixed before each draw. Uses that are read out for certain
    (p = 1) need no prediction and are left out.

    Args:
        parts: one or more, of one simulation run; each with its own head.

    Source: Saerndal, Swensson & Wretman, Model Assisted Survey Sampling, 6.3.
    """
    chosen = [part.probability_Q < 1 for part in parts]
    groups = np.unique(np.concatenate([part.group_Q[c_Q] for part, c_Q in zip(parts, chosen, strict=True)]))
    replicates, _, sources = parts[0].head.column_RkS.shape
    predicted_RGS, expanded_RGS = np.zeros((2, replicates, len(groups), sources))
    for part, c_Q in zip(parts, chosen, strict=True):
        place_Q = np.searchsorted(groups, part.group_Q[c_Q])
        expansion_Q = part.drawn_Q[c_Q] / part.probability_Q[c_Q]
        used_Qk = part.uses_Q[c_Q, None] * part.coordinates_Qk[c_Q].astype(np.float64)
        for total_RGS, each_Qk in ((predicted_RGS, used_Qk), (expanded_RGS, used_Qk * expansion_Q[:, None])):
            sum_Gk = np.zeros((len(groups), used_Qk.shape[1]))
            np.add.at(sum_Gk, place_Q, each_Qk)
            total_RGS += sum_Gk @ part.head.column_RkS
    return LiveTotals(groups, predicted_RGS, expanded_RGS)


def predicted_table(
    run_id: str,
    source_ids: Sequence[str],
    groups: NDArray[np.int64],
    predicted_RGS: Array,
    expanded_RGS: Array,
) -> pa.Table:
    """Rows of the table `predicted`, ordered by source, replicate and group; none where a simulation failed."""
    replicates, count, sources = predicted_RGS.shape
    present_N = np.isfinite(_by_source(predicted_RGS))
    source_N = np.repeat(np.arange(sources, dtype=np.int32), replicates * count)[present_N]
    run_N = np.zeros(len(source_N), dtype=np.int8)
    return pa.table(
        {
            "run_id": pa.DictionaryArray.from_arrays(run_N, pa.array([run_id], pa.string())),
            "source_id": pa.DictionaryArray.from_arrays(source_N, pa.array(list(source_ids), pa.string())),
            "replicate": np.tile(np.repeat(np.arange(replicates, dtype=np.int32), count), sources)[present_N],
            "bucket": np.tile(groups.astype(np.int32), replicates * sources)[present_N],
            "predicted_nats": _by_source(predicted_RGS)[present_N],
            "expanded_nats": _by_source(expanded_RGS)[present_N],
        }
    )


def _by_source(values_RGS: Array) -> Array:
    return np.ascontiguousarray(values_RGS.transpose(2, 0, 1)).reshape(-1)
