"""The client of the service for asyncio."""

import asyncio
from typing import Self

import httpx

from tribute.client.answers import Level, ServedAttribution, ServedAttributions
from tribute.client.connection import RETRIES, TIMEOUT_S, Connection, connect, no_reply_of, reply_of
from tribute.client.conversations import AttributionOptions, Progress, path_part
from tribute.client.exchange import NoReply, Pause, Reply, Steps, T
from tribute.client.months import FetchedFile, ListedStatements, OfferedModel, ServedValuation
from tribute.client.reports import ReportProgress
from tribute.client.uses import Uses


class AsyncClient:
    """`Client` for asyncio: the same methods, to be awaited.

    >>> async def attribute(text):
    ...     async with tribute.AsyncClient("http://127.0.0.1:9", key="trb_...", retries=0) as client:
    ...         try:
    ...             return await client.attribute(text)
    ...         except tribute.TributeError as error:  # nobody listens there
    ...             return type(error).__name__
    >>> import asyncio
    >>> asyncio.run(attribute("Return a new array with the same shape"))
    'MachineError'

    Args:
        url: address of the service. A service of several projects has each at `path` of `models()`, such as
            `http://127.0.0.1:8000/models/press`.
        key: that `tribute keys create` showed.
        timeout: seconds that one try may take.
        retries: tries after the first.
        max_queries: uses in one request; longer lists are cut. Default: as many as the service takes.
        http: a client of httpx to use, with its proxies and certificates. The caller closes it.

    Raises:
        ConfigError: the address, the key or a number cannot be used.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        retries: int = RETRIES,
        max_queries: int | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._connection = connect(url, key, timeout, retries, max_queries)
        self._asks = self._connection.conversations
        self._http, self._owned = http or httpx.AsyncClient(), http is None

    async def attribute(
        self,
        queries: Uses,
        *,
        top_k: int | None = 10,
        level: Level = "source",
        per_token: bool = False,
        record: bool = True,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> ServedAttributions:
        """See `Client.attribute`."""
        options = AttributionOptions(top_k, level, per_token, record)
        return await self._run(self._asks.attribute(queries, options, idempotency_key, progress))

    async def attribution(self, query_id: str) -> ServedAttribution:
        """See `Client.attribution`."""
        return await self._run(self._asks.get(f"/v1/attributions/{path_part(query_id)}", ServedAttribution))

    async def report(self, period: str, *, wait_s: float = 3600.0) -> ReportProgress:
        """See `Client.report`."""
        return await self._run(self._asks.report(period, wait_s))

    async def report_state(self, report_id: str) -> ReportProgress:
        """See `Client.report_state`."""
        return await self._run(self._asks.get(f"/v1/reports/{path_part(report_id)}", ReportProgress))

    async def reports(self) -> tuple[ReportProgress, ...]:
        """See `Client.reports`."""
        return await self._run(self._asks.get("/v1/reports", tuple[ReportProgress, ...]))

    async def valuations(self, period: str) -> ServedValuation:
        """See `Client.valuations`."""
        return await self._run(self._asks.get("/v1/valuations", ServedValuation, period=period))

    async def statements(self, period: str) -> ListedStatements:
        """See `Client.statements`."""
        return await self._run(self._asks.get("/v1/statements", ListedStatements, period=period))

    async def statement(self, statement_id: str, form: str = "json") -> FetchedFile:
        """See `Client.statement`."""
        return await self._run(self._asks.file(f"/v1/statements/{path_part(statement_id)}", format=form))

    async def month_file(self, period: str, form: str = "csv") -> FetchedFile:
        """See `Client.month_file`."""
        return await self._run(self._asks.file(f"/v1/periods/{path_part(period)}/files/{path_part(form)}"))

    async def models(self) -> tuple[OfferedModel, ...]:
        """See `Client.models`."""
        return await self._run(self._asks.get("/v1/models", tuple[OfferedModel, ...]))

    async def ready(self, wait_s: float = 0.0) -> bool:
        """See `Client.ready`."""
        return await self._run(self._asks.ready(wait_s))

    async def close(self) -> None:
        """See `Client.close`."""
        if self._owned:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        return await _driven(steps, self._connection, self._http)


async def _driven(steps: Steps[T], connection: Connection, http: httpx.AsyncClient) -> T:
    """The end of a conversation whose requests are sent, and whose pauses are kept."""
    reply: Reply | NoReply | None = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        reply = None
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            continue
        try:
            reply = reply_of(await http.request(**connection.request(step)))
        except httpx.RequestError as error:
            reply = no_reply_of(error, connection.url)
