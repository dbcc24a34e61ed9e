"""What a request is answered: influences of the most influential sources, as JSON.

Legend: R replicates, Q queries, S columns (sources or publishers), T tokens.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Estimated(NamedTuple):
    """Means over replicates and their standard errors, [Q, S] nats; whether there is any, [Q, S]."""

    mean_QS: Array
    error_QS: Array
    known_QS: NDArray[np.bool_]

    @classmethod
    def of(cls, influence_RQS: Array, error_QS: Array, widening_Q: Array) -> "Estimated":
        """From influences by replicate; NaN: that simulation failed.

        Args:
            error_QS: further standard errors of the mean, nats.
            widening_Q: factor for the errors of queries that are unlike the corpus.
        """
        finite_RQS = np.isfinite(influence_RQS)
        counted = finite_RQS.sum(0)
        clean_RQS = np.where(finite_RQS, influence_RQS, 0.0)
        mean_QS = clean_RQS.sum(0) / counted.clip(1)
        spread_QS = (np.square(clean_RQS - mean_QS) * finite_RQS).sum(0) / (counted - 1).clip(1)
        total_QS = np.sqrt(spread_QS / counted.clip(1) + np.square(error_QS)) * widening_Q[:, None]
        return cls(mean_QS, total_QS, counted > 0)

    @classmethod
    def of_parts(cls, influence_RQS: Array, error_QS: Array, part_SP: Array, widening_Q: Array) -> "Estimated":
        """Of publishers: means over replicates of each source, times the publisher's part of it, [S, P].

        A replicate in which a source's simulation failed counts with the mean of the source's others. A source
        whose simulations all failed is left out, and a publisher of such sources alone has no influence known.
        """
        finite_RQS = np.isfinite(influence_RQS)
        known_QS = finite_RQS.any(0)
        mean_QS = np.where(finite_RQS, influence_RQS, 0.0).sum(0) / finite_RQS.sum(0).clip(1)
        filled_RQS = np.where(finite_RQS, influence_RQS, mean_QS)
        error_QP = np.sqrt(np.square(error_QS) @ np.square(part_SP))
        found = cls.of(filled_RQS @ part_SP, error_QP, widening_Q)
        known_QP = (known_QS.astype(float) @ (part_SP > 0)) > 0
        return found._replace(known_QS=known_QP | ~(part_SP > 0).any(0))


def listed(estimated: Estimated, query: int, top_k: int | None) -> NDArray[np.int64]:
    """Columns of the largest influence by size, at most `top_k`, most helpful first."""
    mean_S, known = estimated.mean_QS[query], np.flatnonzero(estimated.known_QS[query])
    if top_k is not None and top_k < len(known):
        size = np.abs(mean_S[known])
        known = known[np.argpartition(-size, top_k - 1)[:top_k]]
    order = np.lexsort((known, -mean_S[known]))
    return np.asarray(known[order])


def influences(
    estimated: Estimated,
    query: int,
    columns: NDArray[np.int64],
    names: Sequence[str],
    key: str,
    token_TS: Array | None = None,
) -> dict[str, Any]:
    """The members `sources` and `others` of a query's answer.

    Args:
        key: `source_id` or `publisher_id`.
        token_TS: influences on each token.
    """
    mean_S, error_S = estimated.mean_QS[query], estimated.error_QS[query]
    rows: list[dict[str, Any]] = [
        {key: names[column], "influence_nats": mean, "std_error_nats": error}
        for column, mean, error in zip(
            columns.tolist(), mean_S[columns].tolist(), error_S[columns].tolist(), strict=True
        )
    ]
    if token_TS is not None:
        for row, column in zip(rows, columns.tolist(), strict=True):
            row["token_nats"] = token_TS[:, column].tolist()
    rest = estimated.known_QS[query].copy()
    rest[columns] = False
    return {
        "sources": rows,
        "others": {"count": int(rest.sum()), "influence_nats": float(mean_S[rest].sum())},
    }


def answer_head(model: str, simulate_run: str, queries: Sequence[dict[str, Any]]) -> bytes:
    """The answer without its last member, `recorded`, and without the closing brace."""
    return orjson.dumps({"model": model, "simulate_run": simulate_run, "queries": queries})[:-1]
