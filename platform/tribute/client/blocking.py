"""The client of the service."""

import time
from typing import Self

import httpx

from tribute.client.answers import Level, ServedAttribution, ServedAttributions
from tribute.client.connection import RETRIES, TIMEOUT_S, Connection, connect, no_reply_of, reply_of
from tribute.client.conversations import AttributionOptions, Progress, path_part
from tribute.client.exchange import NoReply, Pause, Reply, Steps, T
from tribute.client.months import FetchedFile, ListedStatements, OfferedModel, ServedValuation
from tribute.client.reports import ReportProgress
from tribute.client.uses import Uses


class Client:
    """Asks a running service: which sources shaped an answer, what a month is worth, whose statement says what.

    A request that fails on the way, or meets a busy service (429, 502, 503, 504), is sent again with the same ids:
    a use is recorded once. Waits grow, and keep a `Retry-After`. Threads may share a client.

    >>> with tribute.Client("http://127.0.0.1:9", key="trb_...", retries=0) as client:  # nobody listens there
    ...     try:
    ...         [answer] = client.attribute("Return a new array with the same shape")
    ...         print(answer.sources[0].source_id)
    ...     except tribute.TributeError as error:
    ...         print(type(error).__name__)
    MachineError

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
        http: httpx.Client | None = None,
    ) -> None:
        self._connection = connect(url, key, timeout, retries, max_queries)
        self._asks = self._connection.conversations
        self._http, self._owned = http or httpx.Client(), http is None

    def attribute(
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
        """Attribute uses to sources, and record them as usage of their months.

        Args:
            queries: texts, mappings or `ModelUse`s; one or many.
            top_k: sources per use, the largest first. None: all.
            level: "source" or "publisher".
            per_token: influences of every token too.
            record: False: a dry look, which counts nothing.
            idempotency_key: of an earlier call that failed, to go on with it. Default: a new one.
            progress: is told how many of how many uses are answered.

        Raises:
            ServiceError: the service refuses a use, or stays busy.
            MachineError: the service does not answer.
            TributeError: a use cannot be written.
        """
        options = AttributionOptions(top_k, level, per_token, record)
        return self._run(self._asks.attribute(queries, options, idempotency_key, progress))

    def attribution(self, query_id: str) -> ServedAttribution:
        """The recorded attribution of a use.

        Raises:
            ServiceError: no use has this id (404).
        """
        return self._run(self._asks.get(f"/v1/attributions/{path_part(query_id)}", ServedAttribution))

    def report(self, period: str, *, wait_s: float = 3600.0) -> ReportProgress:
        """Value a month, and wait for the report.

        Args:
            period: YYYY-MM.
            wait_s: seconds to wait. 0: return at once; `report_state` says how far it is.

        Raises:
            ServiceError: the month cannot be valued; the message names the remedy.
            MachineError: it takes longer than `wait_s`, or the service does not answer.
        """
        return self._run(self._asks.report(period, wait_s))

    def report_state(self, report_id: str) -> ReportProgress:
        """How far a report is, and the report once it is done."""
        return self._run(self._asks.get(f"/v1/reports/{path_part(report_id)}", ReportProgress))

    def reports(self) -> tuple[ReportProgress, ...]:
        """The newest reports, without their content."""
        return self._run(self._asks.get("/v1/reports", tuple[ReportProgress, ...]))

    def valuations(self, period: str) -> ServedValuation:
        """A month's valuation: the one that its statements pay, or else the newest. A publisher sees its own part.

        Raises:
            ServiceError: the month has no valuation (404).
        """
        return self._run(self._asks.get("/v1/valuations", ServedValuation, period=period))

    def statements(self, period: str) -> ListedStatements:
        """The statements of a month's newest version. A publisher sees its own."""
        return self._run(self._asks.get("/v1/statements", ListedStatements, period=period))

    def statement(self, statement_id: str, form: str = "json") -> FetchedFile:
        """A statement in a format: "json", "text", "html" or "pdf".

        Raises:
            ServiceError: none has this id, it is another publisher's (404), or the format is unknown (422).
        """
        return self._run(self._asks.file(f"/v1/statements/{path_part(statement_id)}", format=form))

    def month_file(self, period: str, form: str = "csv") -> FetchedFile:
        """All statements of a month in a file, for the operator: "csv", "xlsx", "html" or the signed "bundle"."""
        return self._run(self._asks.file(f"/v1/periods/{path_part(period)}/files/{path_part(form)}"))

    def models(self) -> tuple[OfferedModel, ...]:
        """The models whose answers the service attributes, and what a request may hold."""
        return self._run(self._asks.get("/v1/models", tuple[OfferedModel, ...]))

    def ready(self, wait_s: float = 0.0) -> bool:
        """Whether the service takes requests; waits up to `wait_s` for it. A service that is away is not ready."""
        return self._run(self._asks.ready(wait_s))

    def close(self) -> None:
        """Close the connections."""
        if self._owned:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        return _driven(steps, self._connection, self._http)


def _driven(steps: Steps[T], connection: Connection, http: httpx.Client) -> T:
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
            time.sleep(step.seconds)
            continue
        try:
            reply = reply_of(http.request(**connection.request(step)))
        except httpx.RequestError as error:
            reply = no_reply_of(error, connection.url)
