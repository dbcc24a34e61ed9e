"""Attributes live queries: reads them out in batches of several requests, and answers. It records nothing.

Legend: R replicates, U units, S sources, Q queries, T tokens.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.config import Project
from tribute.corpus import QueryTable
from tribute.errors import ConfigError
from tribute.readout import Head
from tribute.serving.attributing.answering import Answerer
from tribute.serving.attributing.answers import answer_head
from tribute.serving.attributing.batching import Piece, TokenBatcher
from tribute.serving.attributing.distilling import Counted, Distiller, distils
from tribute.serving.attributing.loaded import Kind, LoadedModel, PieceRead, Work
from tribute.serving.attributing.readings import QueriesRead, influences_of
from tribute.serving.attributing.requested import (
    pieces_of,
    query_ids,
    requested_table,
    table_of,
    tokens_in,
)
from tribute.serving.attributing.shown import shown_use
from tribute.serving.schemas import AttributionRequest, Query, ServedModel
from tribute_storage.outbox.readings import Reading

MAX_TOKEN_NUMBERS = 2**22
"""Influences on tokens in one request, tokens times sources: all of them are in memory, and in the answer."""
LARGE_QUERIES, LARGE_SIZE = 32, 2**15
"""Queries, and characters and features, above which a request is read and answered in a thread."""
BACKGROUND, PRICE = "background", 20.0
"""The turn of exact read-outs in the background, which get a twentieth of what a caller gets."""

Done = TypeVar("Done")


class Attributed(NamedTuple):
    """A request's answer up to the number of recorded uses (see `tribute_storage.outbox`), and its uses."""

    head: bytes
    uses: pa.Table


class Attributor:
    """Reads queries out. Holds a model in memory; independent of HTTP and Ray, within one event loop.

    Args:
        counted: the sum of the uses of a month that are recorded, which the distilled read-out asks for.

    Raises:
        ValuationError: the lake holds no simulation of the project's settings.
    """

    def __init__(self, project: Project, counted: Counted) -> None:
        self._project, self._model = project, LoadedModel(project)
        precision = distils(project, self._model)
        self._distiller = None if precision is None else Distiller(project, self._model, precision, counted)
        self._batcher = TokenBatcher[Work, PieceRead](self._model.read, project.serving.batch_tokens)
        self._answerer = Answerer(project, self._model)
        self._learning = set[asyncio.Task[None]]()
        self._model.warm_up()

    @property
    def distils(self) -> bool:
        """Whether only a sample is read out exactly, in the background."""
        return self._distiller is not None

    async def served(self) -> ServedModel:
        """The model, for those who ask it."""
        settings, model = self._project.serving, self._model
        return ServedModel(
            model=self._project.name,
            simulate_run=model.simulate_run,
            sources=len(model.source_ids),
            replicates=model.replicates,
            readout="distilled" if self.distils else "exact",
            takes="text" if model.form else "features",
            takes_prompts=model.takes_prompts,
            max_queries=settings.max_queries,
            max_text_bytes=settings.max_text_bytes,
        )

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
        settings, turn, large = self._project.serving, caller or uuid.uuid4().hex, _is_large(request)
        ids = query_ids(request.queries, key)
        table = await _done(large, lambda: requested_table(self._model, settings, request.queries, ids))
        tokens = await self._tokens(table, turn) if request.per_token else None
        read = await self._read(table, turn, exactly=request.per_token, record=request.record)
        columns = await self._answerer.columns(request, table, read)

        def attributed() -> Attributed:
            answers = self._answerer.answers(request, table, read, columns, tokens)
            head = answer_head(self._project.name, self._model.simulate_run, answers)
            kept = settings.keep_content_days > 0
            return Attributed(head, read.uses(self._model.simulate_run, table, request.queries, kept))

        return await _done(large, attributed)

    async def shown(self, uses: pa.Table) -> dict[str, Any]:
        """A recorded use, [1], as its answer shows it, with all sources."""
        return await asyncio.to_thread(shown_use, self._project, self._model, uses)

    async def read_sampled(self, contents: Sequence[tuple[str, str]]) -> list[Reading]:
        """Exact read-outs of recorded uses, from their ids and contents. The head learns from them."""
        queries = [Query.model_validate_json(content) for _, content in contents]
        table = table_of(self._model, queries, [name for name, _ in contents])
        pieces = self._pieces(table, "exact")
        parts = await self._batcher.submit(BACKGROUND, [piece for _, piece in pieces], PRICE)
        query_N = [query for query, _ in pieces]
        read = QueriesRead.of(self._model, table, query_N, parts)
        if self._distiller is not None:
            await asyncio.to_thread(self._distiller.learn, table, influences_of(table, query_N, parts))
        uses = read.uses(self._model.simulate_run, table, queries, keeps_contents=False)
        rows = zip(
            table.query_ids, uses["influence_nats"].to_pylist(), uses["error_nats"].to_pylist(), strict=True
        )
        return [Reading(*row) for row in rows]

    def _pieces(self, table: QueryTable, kind: Kind, head: Head | None = None) -> list[tuple[int, Piece[Work]]]:
        found = pieces_of(table, self._project.serving.batch_tokens // 8)
        return [(query, Piece(work._replace(kind=kind, head=head), tokens)) for query, (work, tokens) in found]

    async def _read(self, table: QueryTable, turn: str, *, exactly: bool, record: bool) -> QueriesRead:
        distiller = None if exactly else self._distiller
        head = await distiller.head() if distiller else None
        pieces = self._pieces(table, "predicted" if head else "exact", head)
        parts = await self._batcher.submit(turn, [piece for _, piece in pieces])
        query_N = [query for query, _ in pieces]
        if distiller is None or head is None:
            if distiller is not None and record:
                self._learn(distiller, table, influences_of(table, query_N, parts))
            return QueriesRead.of(self._model, table, query_N, parts)
        read = QueriesRead.predicted(self._model, head, table, query_N, parts)
        return read.drawn(*await distiller.draw(head, table, record))

    def _learn(self, distiller: Distiller, table: QueryTable, influence_RQU: NDArray[np.float64]) -> None:
        """Let the head learn from exact read-outs, while nobody waits for it."""
        task = asyncio.get_running_loop().create_task(
            asyncio.to_thread(distiller.learn, table, influence_RQU), name="tribute-learning"
        )
        self._learning.add(task)
        task.add_done_callback(self._learning.discard)

    async def _tokens(self, table: QueryTable, turn: str) -> list[NDArray[np.float64]]:
        """Influences on each position of each query, [T, S] nats."""
        columns = max(len(self._model.source_ids), self._model.units)
        tokens = tokens_in(table)
        if tokens * columns > MAX_TOKEN_NUMBERS:
            raise ConfigError(
                f"per_token asks for {tokens:,} tokens times {columns:,} sources, and a request takes "
                f"{MAX_TOKEN_NUMBERS:,} such numbers. Send fewer or shorter queries, or leave per_token out"
            )
        pieces = self._pieces(table, "tokens")
        parts = await self._batcher.submit(turn, [piece for _, piece in pieces])
        found = []
        for query in range(len(table.query_ids)):
            rows = [part.values for (index, _), part in zip(pieces, parts, strict=True) if index == query]
            nats_TU = np.concatenate([each.reshape(-1, each.shape[-1]) for each in rows])
            found.append(self._model.design.influence(nats_TU))
        return found


def _is_large(request: AttributionRequest) -> bool:
    """Whether its text and answer take so long to read and write that others would wait for it."""
    size = sum(query.size for query in request.queries)
    return request.per_token or len(request.queries) > LARGE_QUERIES or size > LARGE_SIZE


async def _done(large: bool, work: Callable[[], Done]) -> Done:
    """The result of some work: here, or in a thread if it is large. A small one would take longer there."""
    return await asyncio.to_thread(work) if large else work()
