"""Queries: uses of the model to attribute, from text, arrays, IDX files or held-out examples.

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
from tribute.corpus.encoding import TextFormat, text_rows
from tribute.corpus.numbers import numbers, single
from tribute.corpus.readers.array_files import read_idx_pair
from tribute.corpus.sources import Columns
from tribute.errors import CorpusError
from tribute.ids import excerpt


class Accounting(NamedTuple):
    """Times, customers, weights and inclusion probabilities of queries, [Q] each; None if not given."""

    times: Sequence[datetime | None] | None = None
    customers: Sequence[str | None] | None = None
    weights: Sequence[float] | None = None
    inclusion: Sequence[float] | None = None


NO_ACCOUNTING = Accounting()
MIN_WEIGHT, MAX_USES = 1e-4, 1e12
"""Smallest weight above 0, and largest weight over inclusion probability: sums of influence are exact decimals."""


def check_uses(weight: float, inclusion: float = 1.0) -> None:
    """Check that sums over queries can hold the weight of one.

    Raises:
        ValueError: it is too small or too large.
    """
    if weight and not (weight >= MIN_WEIGHT and weight / inclusion <= MAX_USES):
        raise ValueError(
            f"its weight is {weight:g} at inclusion probability {inclusion:g}. Sums hold weights from "
            f"{MIN_WEIGHT:g}, and at most {MAX_USES:g} uses a query. Multiply all weights of the "
            "period by one factor: shares stay"
        )


@dataclass(frozen=True)
class QueryTable:
    """Queries with the rows for the model, times, customers and weights."""

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
        """SHA-256 of contents, times, customers and weights."""
        moments = [moment and moment.isoformat() for moment in self.times]
        numbers = [self.weights.tolist(), self.inclusion.tolist()]
        content = json.dumps([self.query_ids, self.digests, moments, self.customers, numbers])
        return hashlib.sha256(content.encode()).hexdigest()

    def take(self, chosen: Sequence[int]) -> "QueryTable":
        """Select queries, in the given order."""
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
        """Queries from `first` up to `after` (exclusive, UTC); those without a time are of no period."""
        days = [moment and moment.astimezone(UTC).date() for moment in self.times]
        return self.take([index for index, day in enumerate(days) if day and first <= day < after])

    def months(self) -> list[str]:
        """Months (UTC, `YYYY-MM`) with queries, ascending; queries without a time do not count."""
        return sorted({moment.astimezone(UTC).date().isoformat()[:7] for moment in self.times if moment})


def text_queries(
    query_ids: Sequence[str],
    texts: Sequence[str],
    window: TextFormat | int,
    accounting: Accounting = NO_ACCOUNTING,
    *,
    prompts: Sequence[str | None] | None = None,
    tokenizer: str | None = None,
) -> QueryTable:
    """Queries of text. A prompt is context: the column `target` is false for it, and it is not measured.

    Prompt and text are tokenized as one. A token of characters of both is measured. Where they are longer than a
    window, each window is measured from itself alone: see `tribute.corpus.encoding.windows`.

    Args:
        window: tokens of a row, or the format of the corpus.
        prompts: of each query; None or empty: it has none.
        tokenizer: a folder or hub id of a Hugging Face tokenizer; None: bytes.

    Raises:
        CorpusError: nothing of a query is measured: it is a single token without a prompt; or an id repeats.
        ConfigError: the tokenizer cannot be used.
    """
    form, asked = TextFormat.of(window, tokenizer), [each or "" for each in prompts or [""] * len(texts)]
    found = [text_rows(prompt + text, form, len(prompt)) for prompt, text in zip(asked, texts, strict=True)]
    short = next((index for index, (tokens_NW, _) in enumerate(found) if not len(tokens_NW)), None)
    if short is not None:
        raise CorpusError(
            f"Query {excerpt(query_ids[short])}: nothing of its text is measured, since {form.encoder.unit} are "
            "predicted from those before them. Expected at least two, or a prompt and one. Give its prompt, or "
            "leave the query out"
        )
    none = np.zeros((0, form.window), form.encoder.dtype)
    rows = {"tokens": np.concatenate([none, *(tokens_NW for tokens_NW, _ in found)])}
    if form.targets or any(asked):
        rows["target"] = np.concatenate([none.astype(bool), *(target_NW for _, target_NW in found)])
    contents = [text_content(text, prompt) for prompt, text in zip(asked, texts, strict=True)]
    return _table(query_ids, rows, [len(tokens_NW) for tokens_NW, _ in found], contents, accounting)


def text_content(text: str, prompt: str | None = None) -> bytes:
    """Bytes of a text and its prompt, for the digest of the query; FF is in no text."""
    return prompt.encode() + b"\xff" + text.encode() if prompt else text.encode()


def array_queries(
    query_ids: Sequence[str],
    features: Sequence[Sequence[float]] | NDArray[np.float32],
    labels: Sequence[int] | NDArray[np.int64],
    accounting: Accounting = NO_ACCOUNTING,
) -> QueryTable:
    """Queries of feature vectors with the label that the model returned.

    Raises:
        CorpusError: feature vectors have different lengths or are not finite, or an id repeats.
    """
    values, classes = feature_matrix(query_ids, features), np.array(labels, dtype=np.int64)
    rows: Columns = {"features": values, "labels": classes}
    return _table(query_ids, rows, [1] * len(values), vector_contents(values, classes), accounting)


def feature_matrix(
    query_ids: Sequence[str], features: Sequence[Sequence[float]] | NDArray[np.float32]
) -> NDArray[np.float32]:
    """Feature vectors as a matrix, [Q, features].

    Raises:
        CorpusError: they have different lengths, or are not finite.
    """
    try:
        values = single(numbers(features), "Column 'features' of the queries")
    except (TypeError, ValueError):
        values = np.zeros(0, dtype=np.float32)
    if not query_ids and not len(values):
        values = np.zeros((0, 0), dtype=np.float32)
    if values.ndim != 2 or len(values) != len(query_ids) or (query_ids and not values.size):
        raise CorpusError(
            "The features of all queries must be lists of numbers, all of one length. Correct the queries"
        )
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        raise CorpusError(
            f"Query {excerpt(query_ids[bad[0]])}: features hold NaN or infinity. Correct or drop the query"
        )
    return values


def vector_contents(values: NDArray[np.float32], classes: NDArray[np.int64]) -> list[bytes]:
    """Bytes of each feature vector and its label, for the digest of the query."""
    return [row.tobytes() + label.tobytes() for row, label in zip(values, classes, strict=True)]


def content_digest(content: bytes) -> str:
    """SHA-256 of the content of a query, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def column_queries(query_ids: Sequence[str], rows: Columns, accounting: Accounting = NO_ACCOUNTING) -> QueryTable:
    """Queries of one row each, with the columns of any task.

    Raises:
        CorpusError: a query id repeats.
    """
    contents = [b"".join(rows[name][i].tobytes() for name in sorted(rows)) for i in range(len(query_ids))]
    return _table(query_ids, rows, [1] * len(query_ids), contents, accounting)


def held_out_queries(examples: Mapping[str, Columns], per_source: int) -> QueryTable:
    """Evenly spaced held-out rows: `per_source` of each source, or all of them.

    Raises:
        CorpusError: no source has held-out rows.
    """
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
        raise CorpusError("No source has held-out examples to query. Raise corpus.held_out, or give a usage file")
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
            f"Query id {excerpt(repeated[0])} occurs more than once. Give each use of the model an id of its own"
        )
    for name, weight, inclusion in zip(
        query_ids, accounting.weights or [1.0] * total, accounting.inclusion or [1.0] * total, strict=True
    ):
        try:
            check_uses(weight, inclusion)
        except ValueError as error:
            raise CorpusError(f"Query {name!r} cannot be counted: {error}") from None
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
