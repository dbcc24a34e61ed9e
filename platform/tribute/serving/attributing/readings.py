"""What is read of the queries of a request: exactly, or predicted by a head; and the uses that it makes.

Legend: R replicates, U units, S sources, Q queries, k coordinates of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from tribute.corpus import OutOfDistribution, QueryTable
from tribute.errors import ConfigError
from tribute.ids import excerpt
from tribute.readout import Head
from tribute.serving.attributing.loaded import LoadedModel, PieceRead
from tribute.serving.attributing.requested import month_of
from tribute.serving.schemas import Query
from tribute.simulation import Design
from tribute_storage.outbox import USE

Array = NDArray[np.float64]


@dataclass(frozen=True)
class QueriesRead:
    """Influences [R, Q, S], further standard errors of their means [Q, S], and measurements [Q], nats.

    `head` and `coordinates_Qk`: where a head predicted the influences. `probability_Q`: of an exact read-out;
    `sampled_Q`: whether there is or will be one.
    """

    influence_RQS: Array
    error_QS: Array
    measured_Q: Array
    distribution: OutOfDistribution
    probability_Q: Array
    sampled_Q: NDArray[np.bool_]
    head: Head | None = None
    coordinates_Qk: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls, model: LoadedModel, table: QueryTable, query_N: Sequence[int], parts: Sequence[PieceRead]
    ) -> "QueriesRead":
        """From exact read-outs of pieces, and the query of each."""
        summed_QRU, measured_Q, distribution = _summed(model, table, query_N, parts)
        influence_RQU = summed_QRU.transpose(1, 0, 2)
        count = len(measured_Q)
        return cls(
            np.stack([model.design.influence(influence_QU) for influence_QU in influence_RQU]),
            model.design.standard_error(influence_RQU.mean(0)),
            measured_Q,
            distribution,
            np.ones(count),
            np.ones(count, bool),
        )

    @classmethod
    def predicted(
        cls,
        model: LoadedModel,
        head: Head,
        table: QueryTable,
        query_N: Sequence[int],
        parts: Sequence[PieceRead],
    ) -> "QueriesRead":
        """From coordinates of pieces, and the query of each. A head's offset counts once for a query."""
        summed_Qk, measured_Q, distribution = _summed(model, table, query_N, parts)
        pieces_Q = np.bincount(query_N, minlength=len(measured_Q))
        offset_k = np.append(head.offset_k.double().cpu().numpy(), 1.0)
        coordinates_Qk = (summed_Qk - (pieces_Q - 1)[:, None] * offset_k).astype(np.float32)
        return cls(
            *predictions(model.design, head, coordinates_Qk),
            measured_Q,
            distribution,
            np.ones(len(measured_Q)),
            np.ones(len(measured_Q), bool),
            head,
            coordinates_Qk,
        )

    def drawn(self, probability_Q: Array, sampled_Q: NDArray[np.bool_]) -> "QueriesRead":
        """The same, where only some are read out exactly."""
        return replace(self, probability_Q=probability_Q, sampled_Q=sampled_Q)

    def uses(
        self, simulate_run: str, table: QueryTable, queries: Sequence[Query], keeps_contents: bool
    ) -> pa.Table:
        """The uses of the model that a request makes, as the outbox takes them.

        Args:
            simulate_run: what they were attributed by.
            keeps_contents: whether contents go along even where no exact read-out needs them.
        """
        count, predicted = len(queries), self.head is not None
        influence_QRS = np.ascontiguousarray(self.influence_RQS.transpose(1, 0, 2), np.float32)
        error_QS = self.error_QS.astype(np.float32)
        kept = [keeps_contents or (predicted and bool(sampled)) for sampled in self.sampled_Q]
        contents = [_content(query) if keep else None for query, keep in zip(queries, kept, strict=True)]
        return pa.table(
            {
                "query_id": table.query_ids,
                "simulate_run": [simulate_run] * count,
                "period": [month_of(moment) for moment in table.times if moment is not None],
                "dated": [query.time is not None for query in queries],
                "time": table.times,
                "customer_id": table.customers,
                "weight": table.weights,
                "readout_probability": self.probability_Q,
                "sampled": self.sampled_Q,
                "similarity": self.distribution.similarity_Q,
                "unlike_corpus": self.distribution.is_ood_Q,
                "measurement_nats": self.measured_Q,
                "content_sha256": table.digests,
                "influence_nats": [None if predicted else row.tobytes() for row in influence_QRS],
                "error_nats": [row.tobytes() if row.any() and not predicted else None for row in error_QS],
                "head_id": [self.head and self.head.head_id] * count,
                "coordinates": [None] * count
                if self.coordinates_Qk is None
                else [row.tobytes() for row in self.coordinates_Qk],
                "content_json": contents,
            },
            schema=USE,
        )


def predictions(design: Design, head: Head, coordinates_Qk: NDArray[np.floating]) -> tuple[Array, Array]:
    """Predicted influences, [R, Q, S], and further standard errors of their means, [Q, S], nats.

    The errors are those of sampled coalitions, and of the head.
    """
    influence_RQU = head.influence(coordinates_Qk)
    influence_RQS = np.stack([design.influence(influence_QU) for influence_QU in influence_RQU])
    error_QS = design.standard_error(influence_RQU.mean(0))
    return influence_RQS, np.sqrt(np.square(error_QS) + np.square(np.nan_to_num(head.error_S)))


def influences_of(table: QueryTable, query_N: Sequence[int], parts: Sequence[PieceRead]) -> Array:
    """Influences of units on queries, [R, Q, U] nats, from exact read-outs of pieces, and the query of each."""
    summed_QRU = np.zeros((len(table.query_ids), *parts[0].values.shape))
    np.add.at(summed_QRU, query_N, np.stack([part.values for part in parts]))
    return summed_QRU.transpose(1, 0, 2)


def _summed(
    model: LoadedModel, table: QueryTable, query_N: Sequence[int], parts: Sequence[PieceRead]
) -> tuple[Array, Array, OutOfDistribution]:
    """Values of pieces by query, [Q, ...], measurements [Q], and how much the queries are like the corpus."""
    count = len(table.query_ids)
    summed = np.zeros((count, *parts[0].values.shape))
    measured_Q, similar_Q = np.zeros((2, count))
    np.add.at(summed, query_N, np.stack([part.values for part in parts]))
    np.add.at(measured_Q, query_N, [part.measurement_nats for part in parts])
    np.add.at(similar_Q, query_N, [part.similarity for part in parts])
    rows_Q = np.bincount(table.row_query, minlength=count)
    bad = np.flatnonzero(~np.isfinite(measured_Q))
    if len(bad):
        raise ConfigError(
            f"The model's measurement of query {excerpt(table.query_ids[bad[0]])} is {measured_Q[bad[0]]}, and a "
            "finite number is expected. Correct or drop the query"
        )
    return summed, measured_Q, model.ood.judged(similar_Q, rows_Q)


def _content(query: Query) -> str:
    if query.text is not None:
        prompt = {"prompt": query.prompt} if query.prompt else {}
        return orjson.dumps(prompt | {"text": query.text}).decode()
    return orjson.dumps({"features": query.features, "label": query.label}).decode()
