"""Attributes live queries: reads them out in batches of several requests, and answers. It records nothing.

Legend: R replicates, U units, S sources, P publishers, Q queries.
"""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.catalog import payees
from tribute.config import Project
from tribute.corpus import Accounting, OutOfDistribution, QueryTable, array_queries, text_queries
from tribute.errors import ConfigError
from tribute.ids import excerpt
from tribute.serving.answers import Estimated, answer_head, influences, listed
from tribute.serving.batching import Piece, TokenBatcher
from tribute.serving.loaded import LoadedModel, PieceRead, Work
from tribute.serving.schemas import AttributionRequest, Query, ServedModel
from tribute_storage.outbox import USE

Value = TypeVar("Value")
PAYEES_KEPT_S = 60.0


class Attributed(NamedTuple):
    """A request's answer up to the number of recorded uses (see `tribute_storage.outbox.Reply`), and its uses."""

    head: bytes
    uses: pa.Table


class _Read(NamedTuple):
    """Queries with what was read out of them: influences [R, Q, S] and measurements [Q], nats."""

    influence_RQS: NDArray[np.float64]
    error_QS: NDArray[np.float64]
    measured_Q: NDArray[np.float64]
    distribution: OutOfDistribution


class Attributor:
    """Reads queries out. Holds a model in memory; independent of HTTP and Ray, within one event loop.

    Raises:
        ValuationError: the lake holds no simulation of the project's settings.
    """

    def __init__(self, project: Project) -> None:
        self._project, self._model = project, LoadedModel(project)
        self._batcher = TokenBatcher[Work, PieceRead](
            lambda works: self._model.read(list(works)), project.serving.batch_tokens
        )
        self._payees = dict[str, tuple[float, tuple[tuple[str, ...], NDArray[np.float64]]]]()
        self._model.warm_up()

    async def served(self) -> ServedModel:
        """The model, for those who ask it."""
        settings, model = self._project.serving, self._model
        return ServedModel(
            model=self._project.name,
            simulate_run=model.simulate_run,
            sources=len(model.source_ids),
            replicates=model.replicates,
            readout="exact",
            takes="text" if model.window else "features",
            max_queries=settings.max_queries,
            max_text_bytes=settings.max_text_bytes,
        )

    @property
    def waiting_tokens(self) -> int:
        """Tokens that wait for their turn."""
        return self._batcher.waiting

    async def attribute(
        self, request: AttributionRequest, caller: str | None = None, key: str | None = None
    ) -> Attributed:
        """Read queries out for every source.

        Args:
            caller: whose turn it is; None: this request's own.
            key: an idempotency key, after which queries without an id are named.

        Raises:
            ConfigError: too many queries or too long a text; or a query does not fit the model.
        """
        ids = _ids(request.queries, key)
        table = self._table(request.queries, ids)
        read = await self._read(table, caller or uuid.uuid4().hex)
        estimated = Estimated.of(read.influence_RQS, read.error_QS, read.distribution.widening_Q)
        names: Sequence[str] = self._model.source_ids
        answers, moments = [], [moment for moment in table.times if moment is not None]
        shown = {month: (names, estimated) for month in map(month_of, moments)}
        if request.level == "publisher":
            for month in shown:
                publishers, part_SP = await self._parts(month)
                error_QP = np.sqrt(np.square(read.error_QS) @ np.square(part_SP))
                by_RQP = np.nan_to_num(read.influence_RQS) @ part_SP
                shown[month] = publishers, Estimated.of(by_RQP, error_QP, read.distribution.widening_Q)
        for index, moment in enumerate(moments):
            columns, each = shown[month_of(moment)]
            chosen = listed(each, index, request.top_k)
            answers.append(
                self._facts(table, index, read) | influences(each, index, chosen, columns, f"{request.level}_id")
            )
        head = answer_head(self._project.name, self._model.simulate_run, answers)
        return Attributed(head, self._uses(table, [query.time is not None for query in request.queries], read))

    def _table(self, queries: Sequence[Query], ids: Sequence[str]) -> QueryTable:
        settings, now = self._project.serving, datetime.now(UTC)
        if len(queries) > settings.max_queries:
            raise ConfigError(
                f"A request takes at most {settings.max_queries} queries, this one has {len(queries)}. Split it"
            )
        accounting = Accounting(
            [query.time or now for query in queries],
            [query.customer_id for query in queries],
            [query.weight for query in queries],
        )
        named = list(zip(queries, ids, strict=True))
        if self._model.window is not None:
            texts = [_given(query.text, "text", name) for query, name in named]
            for text, name in zip(texts, ids, strict=True):
                if len(text.encode()) > settings.max_text_bytes:
                    raise ConfigError(
                        f"Query {excerpt(name)} has {len(text.encode()):,} bytes of text, at most "
                        f"{settings.max_text_bytes:,} are taken. Cut it, or raise serving.max_text_bytes"
                    )
            return text_queries(ids, texts, self._model.window, accounting)
        features = [_given(query.features, "features", name) for query, name in named]
        labels = [_given(query.label, "label", name) for query, name in named]
        for name, vector, label in zip(ids, features, labels, strict=True):
            self._model.check(name, vector, label)
        return array_queries(ids, features, labels, accounting)

    async def _read(self, table: QueryTable, caller: str) -> _Read:
        pieces = pieces_of(table, self._project.serving.batch_tokens // 8)
        parts = await self._batcher.submit(caller, [piece for _, piece in pieces])
        query_N = np.array([query for query, _ in pieces])
        count = len(table.query_ids)
        influence_QRU = np.zeros((count, *parts[0].influence_RU.shape))
        np.add.at(influence_QRU, query_N, np.stack([part.influence_RU for part in parts]))
        measured_Q, similar_Q = np.zeros((2, count))
        np.add.at(measured_Q, query_N, [part.measurement_nats for part in parts])
        np.add.at(similar_Q, query_N, [part.similarity for part in parts])
        rows_Q = np.bincount(table.row_query, minlength=count)
        design, influence_RQU = self._model.design, influence_QRU.transpose(1, 0, 2)
        return _Read(
            np.stack([design.influence(influence_QU) for influence_QU in influence_RQU]),
            design.standard_error(influence_RQU.mean(0)),
            measured_Q,
            self._model.ood.judged(similar_Q, rows_Q),
        )

    async def shown(self, uses: pa.Table) -> dict[str, Any]:
        """A recorded use, [1], as its answer shows it, with all sources."""
        [row] = uses.to_pylist()
        count = len(self._model.source_ids)
        if row["influence_nats"] is None:
            raise ConfigError("This use was not read out exactly")
        influence_RQS = np.frombuffer(row["influence_nats"], np.float32).reshape(-1, 1, count).astype(np.float64)
        error_QS = np.zeros((1, count))
        if row["error_nats"] is not None:
            error_QS[0] = np.frombuffer(row["error_nats"], np.float32)
        estimated = Estimated.of(influence_RQS, error_QS, np.ones(1))
        names = ("query_id", "period", "readout_probability", "measurement_nats", "similarity", "unlike_corpus")
        facts = {name: row[name] for name in names} | {"readout": "exact"}
        return facts | influences(estimated, 0, listed(estimated, 0, None), self._model.source_ids, "source_id")

    async def _parts(self, month: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Publishers and their parts of the sources in a month, [S, P]; read again after a minute."""
        known = self._payees.get(month)
        if known is None or time.monotonic() - known[0] > PAYEES_KEPT_S:
            found = await asyncio.to_thread(payees, self._project, month)
            self._payees = {month: (time.monotonic(), found)}
            return found
        return known[1]

    def _facts(self, table: QueryTable, index: int, read: _Read) -> dict[str, Any]:
        moment = table.times[index]
        assert moment is not None
        return {
            "query_id": table.query_ids[index],
            "period": month_of(moment),
            "readout": "exact",
            "readout_probability": 1.0,
            "measurement_nats": float(read.measured_Q[index]),
            "similarity": float(read.distribution.similarity_Q[index]),
            "unlike_corpus": bool(read.distribution.is_ood_Q[index]),
        }

    def _uses(self, table: QueryTable, dated: list[bool], read: _Read) -> pa.Table:
        count = len(table.query_ids)
        influence_QRS = np.ascontiguousarray(read.influence_RQS.transpose(1, 0, 2), np.float32)
        error_QS = read.error_QS.astype(np.float32)
        columns: dict[str, Any] = {
            "query_id": table.query_ids,
            "period": [month_of(moment) for moment in table.times if moment is not None],
            "dated": dated,
            "time": table.times,
            "customer_id": table.customers,
            "weight": table.weights,
            "readout_probability": np.ones(count),
            "sampled": np.ones(count, bool),
            "similarity": read.distribution.similarity_Q,
            "unlike_corpus": read.distribution.is_ood_Q,
            "measurement_nats": read.measured_Q,
            "content_sha256": table.digests,
            "influence_nats": [row.tobytes() for row in influence_QRS],
            "error_nats": [row.tobytes() if row.any() else None for row in error_QS],
            "head_id": [None] * count,
            "coordinates": [None] * count,
            "content_json": [None] * count,
        }
        return pa.table(columns, schema=USE)


def month_of(moment: datetime) -> str:
    """The month of a moment, UTC, YYYY-MM."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04d}-{utc.month:02d}"


def pieces_of(table: QueryTable, tokens: int) -> list[tuple[int, Piece[Work]]]:
    """The rows of every query in pieces of about `tokens`, each with the index of its query."""
    found = []
    one_row = tokens_of({name: values[:1] for name, values in table.rows.items()})
    rows = max(1, tokens // max(1, one_row))
    first_Q = np.searchsorted(table.row_query, np.arange(len(table.query_ids) + 1))
    for query, (begin, end) in enumerate(zip(first_Q[:-1].tolist(), first_Q[1:].tolist(), strict=True)):
        for start in range(begin, end, rows):
            part = {name: values[start : min(start + rows, end)] for name, values in table.rows.items()}
            found.append((query, Piece(Work(part), tokens_of(part))))
    return found


def tokens_of(columns: dict[str, NDArray]) -> int:
    """Tokens of some rows: what a batch is cut by. A feature vector counts as one."""
    tokens = columns.get("tokens")
    return len(next(iter(columns.values()))) if tokens is None else int(tokens.size)


def _ids(queries: Sequence[Query], key: str | None) -> list[str]:
    """The ids of queries. Sent again under the same key, a query without an id gets the same one."""
    if key is None:
        return [query.query_id or uuid.uuid4().hex for query in queries]
    made = [hashlib.sha256(f"{key}\n{index}".encode()).hexdigest()[:32] for index in range(len(queries))]
    return [query.query_id or name for query, name in zip(queries, made, strict=True)]


def _given(value: Value | None, name: str, query_id: str) -> Value:
    if value is None:
        raise ConfigError(f"Query {excerpt(query_id)} has no `{name}`, which this model needs")
    return value
