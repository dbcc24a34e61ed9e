"""Queries: the uses of the model that are attributed, from text, arrays, usage files or held-out examples.

Legend: Q queries, N rows (a long text has several).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.config import IdxQueriesSettings
from tribute.corpus.batches import encode_text
from tribute.corpus.readers.array_files import read_idx_pair
from tribute.corpus.sources import Columns
from tribute.errors import CorpusError


class Accounting(NamedTuple):
    """When, by whom and how much each query counts, [Q] each; None: not said."""

    times: Sequence[datetime | None] | None = None
    customers: Sequence[str | None] | None = None
    weights: Sequence[float] | None = None
    inclusion: Sequence[float] | None = None


NOTHING_SAID = Accounting()


@dataclass(frozen=True)
class QueryTable:
    """Queries with their rows for the model and their accounting."""

    query_ids: tuple[str, ...]
    rows: Columns
    row_query: NDArray[np.int64]
    times: tuple[datetime | None, ...]
    customers: tuple[str | None, ...]
    weights: NDArray[np.float64]
    inclusion: NDArray[np.float64]
    digests: tuple[str, ...]
    """SHA-256 of each query's content."""

    @cached_property
    def sha256(self) -> str:
        """Hash of everything: contents and accounting."""
        moments = [moment and moment.isoformat() for moment in self.times]
        numbers = [self.weights.tolist(), self.inclusion.tolist()]
        content = json.dumps([self.query_ids, self.digests, moments, self.customers, numbers])
        return hashlib.sha256(content.encode()).hexdigest()

    def take(self, chosen: Sequence[int]) -> "QueryTable":
        """Some of the queries, in the given order."""
        first, after = (np.searchsorted(self.row_query, list(chosen), side) for side in ("left", "right"))
        order = np.concatenate([np.zeros(0, dtype=np.int64), *map(np.arange, first, after)])
        return replace(
            self,
            query_ids=tuple(self.query_ids[i] for i in chosen),
            rows={name: values[order] for name, values in self.rows.items()},
            row_query=np.repeat(np.arange(len(chosen)), after - first),
            times=tuple(self.times[i] for i in chosen),
            customers=tuple(self.customers[i] for i in chosen),
            weights=self.weights[list(chosen)],
            inclusion=self.inclusion[list(chosen)],
            digests=tuple(self.digests[i] for i in chosen),
        )

    def within(self, first: date, after: date) -> "QueryTable":
        """The queries used from `first` to the day before `after` (UTC); those without a time count too."""
        days = [moment.astimezone(UTC).date() if moment else first for moment in self.times]
        return self.take([index for index, day in enumerate(days) if first <= day < after])

    def months(self) -> list[str]:
        """The months of use (UTC), `YYYY-MM`, in order; queries without a time are of none."""
        return sorted({moment.astimezone(UTC).date().isoformat()[:7] for moment in self.times if moment})


def text_queries(
    query_ids: Sequence[str], texts: Sequence[str], window: int, accounting: Accounting = NOTHING_SAID
) -> QueryTable:
    """Queries of text, of any length from two bytes on."""
    encoded = [encode_text(text, window) for text in texts]
    rows = {"tokens": np.concatenate([np.zeros((0, window), np.int16), *encoded])}
    return _table(query_ids, rows, [len(each) for each in encoded], [text.encode() for text in texts], accounting)


def array_queries(
    query_ids: Sequence[str],
    features: Sequence[Sequence[float]] | NDArray[np.float32],
    labels: Sequence[int] | NDArray[np.int64],
    accounting: Accounting = NOTHING_SAID,
) -> QueryTable:
    """Queries of feature vectors with the label that the model gave.

    Raises:
        CorpusError: feature vectors of different lengths, or not finite.
    """
    values, classes = feature_matrix(query_ids, features), np.array(labels, dtype=np.int64)
    rows: Columns = {"features": values, "labels": classes}
    return _table(query_ids, rows, [1] * len(values), vector_contents(values, classes), accounting)


def feature_matrix(
    query_ids: Sequence[str], features: Sequence[Sequence[float]] | NDArray[np.float32]
) -> NDArray[np.float32]:
    """The feature vectors as the model takes them.

    Raises:
        CorpusError: they are of different lengths, or not finite.
    """
    try:
        values = np.array(features, dtype=np.float32)
    except (TypeError, ValueError):
        values = np.zeros(0, dtype=np.float32)
    if not query_ids and not len(values):
        values = np.zeros((0, 0), dtype=np.float32)
    if values.ndim != 2 or len(values) != len(query_ids):
        raise CorpusError("The features of all queries must be lists of numbers, all of one length")
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        raise CorpusError(f"Query {query_ids[bad[0]]!r}: features hold NaN or infinity")
    return values


def vector_contents(values: NDArray[np.float32], classes: NDArray[np.int64]) -> list[bytes]:
    """What the digest of each query of a feature vector and its label is taken of."""
    return [row.tobytes() + label.tobytes() for row, label in zip(values, classes, strict=True)]


def content_digest(content: bytes) -> str:
    """SHA-256 of a query's content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def column_queries(query_ids: Sequence[str], rows: Columns, accounting: Accounting = NOTHING_SAID) -> QueryTable:
    """Queries of one row each, whatever the task's columns are called.

    Raises:
        CorpusError: a query id is repeated.
    """
    contents = [b"".join(rows[name][i].tobytes() for name in sorted(rows)) for i in range(len(query_ids))]
    return _table(query_ids, rows, [1] * len(query_ids), contents, accounting)


def held_out_queries(examples: Mapping[str, Columns], per_source: int) -> QueryTable:
    """The same number of held-out rows of every source (all of them where there are fewer), evenly spaced."""
    ids: list[str] = []
    chosen: list[Columns] = []
    for source_id in sorted(examples):
        columns = examples[source_id]
        count = len(next(iter(columns.values())))
        if count:
            picked = np.unique(np.linspace(0, count - 1, min(per_source, count)).round().astype(int))
            ids += [f"{source_id}/{index}" for index in picked]
            chosen.append({name: values[picked] for name, values in columns.items()})
    if not chosen:
        raise CorpusError("No source has held-out text to query. Raise corpus.held_out, or give a usage file")
    rows = {name: np.concatenate([columns[name] for columns in chosen]) for name in chosen[0]}
    return column_queries(ids, rows)


def idx_queries(settings: IdxQueriesSettings) -> QueryTable:
    """Queries from IDX files, in file order."""
    features, labels = read_idx_pair(settings.images, settings.labels)
    count = min(settings.limit or len(labels), len(labels))
    return array_queries([f"{i:06d}" for i in range(count)], features[:count], labels[:count])


def _table(
    query_ids: Sequence[str],
    rows: Columns,
    counts: Sequence[int],
    contents: Sequence[bytes],
    accounting: Accounting,
) -> QueryTable:
    total = len(query_ids)
    repeated = [query_id for query_id, count in Counter(query_ids).items() if count > 1]
    if repeated:
        raise CorpusError(
            f"Query id {repeated[0]!r} stands more than once. Give every use of the model its own id"
        )
    return QueryTable(
        tuple(query_ids),
        rows,
        np.repeat(np.arange(total), counts),
        tuple(accounting.times or [None] * total),
        tuple(accounting.customers or [None] * total),
        np.array(accounting.weights or [1.0] * total, dtype=np.float64),
        np.array(accounting.inclusion or [1.0] * total, dtype=np.float64),
        tuple(map(content_digest, contents)),
    )
