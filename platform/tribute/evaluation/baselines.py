"""Influences that anyone would guess without a model: what an estimator must beat.

Legend: Q queries, S sources, N training examples.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.corpus import QueryTable
from tribute.training import TrainingSet

Array = NDArray[np.float64]


def guesses(data: TrainingSet, tokens_S: Array, queries: QueryTable) -> Mapping[str, Array]:
    """Influence of every source on every query by simple rules, [Q, S]: none is in nats, only their order counts.

    `token count`: larger sources help more, whatever the query. `label match`: examples with the query's label.
    `source match`: the source that a held-out query was taken from, its tokens otherwise.
    """
    count = len(queries.query_ids)
    found = {"token count": np.tile(tokens_S / tokens_S.sum(), (count, 1))}
    if "labels" in queries.rows and "labels" in data.columns and len(queries.row_query) == count:
        found["label match"] = _label_match(data, queries.rows["labels"])
    own_Q = np.array([_source_of(name, data.source_ids) for name in queries.query_ids])
    if (own_Q >= 0).mean() > 0.5:
        found["source match"] = found["token count"] + (own_Q[:, None] == np.arange(len(data.source_ids)))
    return found


def _label_match(data: TrainingSet, label_Q: NDArray) -> Array:
    labels_N, asked_Q = data.columns["labels"].astype(np.int64), label_Q.astype(np.int64)
    counts = np.zeros((len(data.source_ids), max(labels_N.max(), asked_Q.max()) + 1))
    np.add.at(counts, (data.source_N, labels_N), 1)
    return np.asarray(counts[:, asked_Q].T)


def _source_of(query_id: str, source_ids: Sequence[str]) -> int:
    source_id, slash, _ = query_id.rpartition("/")
    return source_ids.index(source_id) if slash and source_id in source_ids else -1
