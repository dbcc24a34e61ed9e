"""The queries of a request as a table of rows, checked against the model; and their ids.

Legend: Q queries.
"""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from tribute.config import ServingSettings
from tribute.corpus import Accounting, QueryTable, array_queries, text_queries
from tribute.corpus.sources import Columns
from tribute.errors import ConfigError
from tribute.ids import excerpt
from tribute.serving.attributing.batching import Piece
from tribute.serving.attributing.loaded import LoadedModel, Work
from tribute.serving.schemas import Query

Value = TypeVar("Value")


def requested_table(
    model: LoadedModel, settings: ServingSettings, queries: Sequence[Query], ids: Sequence[str]
) -> QueryTable:
    """The queries of a request; those without a time are of now.

    Raises:
        ConfigError: there are too many, a text is too long, or a query does not fit the model.
    """
    if len(queries) > settings.max_queries:
        raise ConfigError(
            f"A request takes at most {settings.max_queries} queries, this one has {len(queries)}. Split it"
        )
    if model.form is not None:
        for query, name in zip(queries, ids, strict=True):
            _check_length((query.prompt or "") + (query.text or ""), name, settings.max_text_bytes)
    return table_of(model, queries, ids)


def table_of(model: LoadedModel, queries: Sequence[Query], ids: Sequence[str]) -> QueryTable:
    """Queries of any number and length; those without a time are of now.

    Raises:
        ConfigError: a query does not fit the model.
        CorpusError: nothing of a text is measured.
    """
    now = datetime.now(UTC)
    accounting = Accounting(
        [query.time or now for query in queries],
        [query.customer_id for query in queries],
        [query.weight for query in queries],
    )
    named = list(zip(queries, ids, strict=True))
    if model.form is not None:
        texts = [_given(query.text, "text", name) for query, name in named]
        prompted = next((name for query, name in named if query.prompt), None)
        if prompted is not None:
            model.require_prompts(prompted)
        prompts = [query.prompt for query in queries]
        return text_queries(ids, texts, model.form, accounting, prompts=prompts)
    features = [_given(query.features, "features", name) for query, name in named]
    labels = [_given(query.label, "label", name) for query, name in named]
    for name, vector, label in zip(ids, features, labels, strict=True):
        model.check(name, vector, label)
    return array_queries(ids, features, labels, accounting)


def query_ids(queries: Sequence[Query], key: str | None) -> list[str]:
    """The ids of queries. Sent again under the same key, a query without an id gets the same one."""
    if key is None:
        return [query.query_id or uuid.uuid4().hex for query in queries]
    made = [hashlib.sha256(f"{key}\n{index}".encode()).hexdigest()[:32] for index in range(len(queries))]
    return [query.query_id or name for query, name in zip(queries, made, strict=True)]


def pieces_of(table: QueryTable, tokens: int) -> list[tuple[int, Piece[Work]]]:
    """The rows of every query in pieces of about `tokens`, each with the index of its query."""
    found = []
    one_row = _tokens({name: values[:1] for name, values in table.rows.items()})
    rows = max(1, tokens // max(1, one_row))
    first_Q = np.searchsorted(table.row_query, np.arange(len(table.query_ids) + 1))
    for query, (begin, end) in enumerate(zip(first_Q[:-1].tolist(), first_Q[1:].tolist(), strict=True)):
        for start in range(begin, end, rows):
            part = {name: values[start : min(start + rows, end)] for name, values in table.rows.items()}
            found.append((query, Piece(Work(part), _tokens(part))))
    return found


def month_of(moment: datetime) -> str:
    """The month of a moment, UTC, YYYY-MM."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04d}-{utc.month:02d}"


def tokens_in(table: QueryTable) -> int:
    """Positions of all rows of a table."""
    return _tokens(table.rows)


def _tokens(columns: Columns) -> int:
    """What a batch is cut by: positions of rows, since padding is computed too. A feature vector counts as one."""
    tokens = columns.get("tokens")
    return len(next(iter(columns.values()))) if tokens is None else int(tokens.size)


def _check_length(text: str, query_id: str, most: int) -> None:
    length = len(text.encode())
    if length > most:
        raise ConfigError(
            f"Query {excerpt(query_id)} has {length:,} bytes of text, and {most:,} are taken. Cut it, or raise "
            "serving.max_text_bytes"
        )


def _given(value: Value | None, name: str, query_id: str) -> Value:
    if value is None:
        raise ConfigError(f"Query {excerpt(query_id)} has no `{name}`, which this model needs")
    return value
