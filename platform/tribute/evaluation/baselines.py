"""Baselines: influences guessed without a model, which an estimator must beat.

Legend: Q queries, S sources, N training examples.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.corpus import QueryTable
from tribute.training import TrainingSet

Array = NDArray[np.float64]


def guesses(data: TrainingSet, tokens_S: Array, queries: QueryTable) -> Mapping[str, Array]:
    """Influence of every source on every query by simple rules, [Q, S]. Only the order counts; it is not in nats.

    `token count`: larger sources help every query more. `label match`: number of examples with the query's label.
    `source match`: the source that a held-out query was taken from, then the other sources by tokens.
    """
    count = len(queries.query_ids)
    by_name = {"token count": np.tile(tokens_S / tokens_S.sum(), (count, 1))}
    if "labels" in queries.rows and "labels" in data.columns and len(queries.row_query) == count:
        by_name["label match"] = _label_match(data, queries.rows["labels"])
    source_Q = np.array([_source_of(name, data.source_ids) for name in queries.query_ids])
    if (source_Q >= 0).mean() > 0.5:
        by_name["source match"] = by_name["token count"] + (source_Q[:, None] == np.arange(len(data.source_ids)))
    return by_name


def _label_match(data: TrainingSet, label_Q: NDArray) -> Array:
    labels_N, query_label_Q = np.asarray(data.columns["labels"], np.int64), label_Q.astype(np.int64)
    counts = np.zeros((len(data.source_ids), max(labels_N.max(), query_label_Q.max()) + 1))
    np.add.at(counts, (data.source_N, labels_N), 1)
    return np.asarray(counts[:, query_label_Q].T)


def _source_of(query_id: str, source_ids: Sequence[str]) -> int:
    source_id, slash, _ = query_id.rpartition("/")
    return source_ids.index(source_id) if slash and source_id in source_ids else -1
