"""Usage-weighted sums of influence of a period by source.

Legend: R replicates, G groups of queries, P pairs of coalitions, S sources.
"""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.corpus import QueryTable
from tribute.valuation.uses import query_uses

GROUPS = 128
"""Groups that queries fall into, by a hash of their id. Intervals resample groups instead of queries."""


class SourceSums(NamedTuple):
    """Usage-weighted influence of a period by source, replicate and group of queries, nats; NaN: failed.

    `residual_GS`: influence of sampled queries minus its prediction, 0 where every query was read out. `ood_S`:
    influence of queries unlike the corpus. `coalitions_PS`: errors from sampled coalitions, as independent parts
    (see `Design.sampling_errors`); no rows where nothing was sampled. All are of means over replicates, nats.
    `drawn`: the part of the residuals' variance that is no sampling error, which is their mean probability of
    being read out, weighted by (uses / probability)^2: errors do not depend on the probability.
    """

    source_ids: tuple[str, ...]
    nats_RGS: NDArray[np.float64]
    residual_GS: NDArray[np.float64]
    ood_S: NDArray[np.float64]
    queries: int
    uses: float
    coalitions_PS: NDArray[np.float64] = np.zeros((0, 0))
    drawn: float = 0.0

    @classmethod
    def of_nothing(cls, source_ids: Sequence[str]) -> "SourceSums":
        """The sums of a period without queries: zero, in one replicate."""
        zero_GS = np.zeros((GROUPS, len(source_ids)))
        return cls(tuple(source_ids), zero_GS[None], zero_GS, zero_GS[0], 0, 0.0)

    @classmethod
    def of_queries(
        cls,
        source_ids: Sequence[str],
        influence_RQS: NDArray[np.float64],
        queries: QueryTable,
        cap: Fraction | None = None,
    ) -> "SourceSums":
        """Sums of influences in memory, [R, Q, S] nats; every query is read out, and none is unlike the corpus.

        Args:
            cap: the largest part of all uses that one customer may stand for; None: no limit.
        """
        uses_Q, (replicates, _, sources) = query_uses(queries, cap), influence_RQS.shape
        nats_RGS, group_Q = np.zeros((replicates, GROUPS, sources)), query_groups(queries.query_ids)
        for nats_GS, influence_QS in zip(nats_RGS, influence_RQS, strict=True):
            np.add.at(nats_GS, group_Q, uses_Q[:, None] * influence_QS)
        zero_GS = np.zeros((GROUPS, sources))
        return cls(tuple(source_ids), nats_RGS, zero_GS, zero_GS[0], len(queries.query_ids), float(uses_Q.sum()))


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


def query_groups(query_ids: Sequence[str]) -> NDArray[np.int64]:
    """The group of every query, [Q]: the lower half of the MD5 of its id modulo `GROUPS`, as SQL computes it."""
    return np.array([_md5_number_lower(query_id) % GROUPS for query_id in query_ids], dtype=np.int64)


def _md5_number_lower(text: str) -> int:
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:], "little")
