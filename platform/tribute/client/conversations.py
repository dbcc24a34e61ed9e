"""Every request of the client as a conversation: what is asked, cut, joined and waited for."""

import json
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from urllib.parse import quote

from tribute.client.answers import AttributionReply, Level, ServedAttribution, ServedAttributions
from tribute.client.errors import ServiceError, is_passing, with_sentence
from tribute.client.exchange import Pause, Reply, Send, Steps, T, answered, read, refusal, unreadable
from tribute.client.months import FetchedFile, OfferedModel
from tribute.client.reports import ReportProgress
from tribute.client.retry import Backoff
from tribute.client.uses import Uses, WrittenUse, pieces, written
from tribute.errors import MachineError, TributeError
from tribute.ids import checked_id, excerpt

MAX_BYTES = 1 << 20
"""Of uses in one request."""
TOO_LARGE = 413
FIRST_POLL_S, LONGEST_POLL_S = 0.2, 5.0
Progress = Callable[[int, int], None]
"""Is told how many of how many uses are answered."""


@dataclass(frozen=True)
class AttributionOptions:
    """How uses are attributed. See `Client.attribute`."""

    top_k: int | None = 10
    level: Level = "source"
    per_token: bool = False
    record: bool = True

    def tail(self) -> bytes:
        """The end of a request's JSON, after the uses."""
        return b"]," + json.dumps(asdict(self)).encode()[1:]


@dataclass
class Conversations:
    """The requests of a client.

    Attributes:
        max_queries: uses in one request; None until the service is asked what it takes.
    """

    backoff: Backoff
    max_queries: int | None = None

    def attribute(
        self, uses: Uses, options: AttributionOptions, key: str | None, progress: Progress | None
    ) -> Steps[ServedAttributions]:
        """See `Client.attribute`. A request that is too large for the service is cut in two and sent again."""
        key = uuid.uuid4().hex if key is None else _header("idempotency_key", key)
        every = written(uses, key)
        if self.max_queries is None and len(every) > 1:
            models = yield from self.get("/v1/models", tuple[OfferedModel, ...])
            self.max_queries = min((model.max_queries for model in models), default=1)
        waiting = deque(pieces(every, self.max_queries or 1, MAX_BYTES))
        found, recorded = list[ServedAttribution](), 0
        while waiting:
            start, end = waiting.popleft()
            name = key if end - start == len(every) else f"{key}-{start}-{end}"
            try:
                part = yield from self._attribute(every[start:end], options, name)
            except (ServiceError, MachineError) as error:
                if isinstance(error, ServiceError) and error.status == TOO_LARGE and end - start > 1:
                    middle = (start + end) // 2
                    waiting.extendleft([(middle, end), (start, middle)])
                    continue
                raise _with_place(error, key, start, len(every)) from None
            found.extend(part.marked())
            recorded += part.recorded
            if progress:
                progress(end, len(every))
        return ServedAttributions(tuple(found), recorded)

    def _attribute(
        self, uses: Sequence[WrittenUse], options: AttributionOptions, key: str
    ) -> Steps[AttributionReply]:
        body = b'{"queries":[' + b",".join(use.json for use in uses) + options.tail()
        send = Send("POST", "/v1/attributions", body=body, headers={"Idempotency-Key": key})
        reply = yield from answered(send, self.backoff)
        part = read(reply, AttributionReply)
        if [query.query_id for query in part.queries] != [use.query_id for use in uses]:
            raise unreadable(reply, f"it is not about the {len(uses)} queries that were sent, in their order")
        return part

    def get(self, path: str, kind: type[T], **params: str | None) -> Steps[T]:
        """A document at a path."""
        given = {name: value for name, value in params.items() if value is not None}
        reply = yield from answered(Send("GET", path, given), self.backoff)
        return read(reply, kind)

    def file(self, path: str, **params: str) -> Steps[FetchedFile]:
        """A file at a path."""
        reply = yield from answered(Send("GET", path, params), self.backoff)
        return FetchedFile(reply.body, reply.headers.get("content-type", "application/octet-stream"))

    def report(self, period: str, wait_s: float) -> Steps[ReportProgress]:
        """See `Client.report`."""
        body = json.dumps({"period": period}).encode()
        send = Send("POST", "/v1/reports", body=body, headers={"Idempotency-Key": uuid.uuid4().hex})
        state = read((yield from answered(send, self.backoff)), ReportProgress)
        path, waited, pause = f"/v1/reports/{path_part(state.report_id)}", 0.0, FIRST_POLL_S
        while wait_s and not state.is_over:
            if waited >= wait_s:
                raise MachineError(
                    f"The report of {period} is still {state.state} after {wait_s:,.0f} s. It goes on: "
                    f"ask for it with report_state({state.report_id!r}), or wait longer with wait_s"
                )
            yield Pause(pause)
            waited, pause = waited + pause, min(pause * 1.5, LONGEST_POLL_S)
            state = yield from self.get(path, ReportProgress)
        if wait_s and state.state == "failed":
            raise _failed(state)
        return state

    def ready(self, wait_s: float) -> Steps[bool]:
        """See `Client.ready`."""
        waited = 0.0
        for tries in count(1):
            reply = yield Send("GET", "/readyz")
            if isinstance(reply, Reply) and 200 <= reply.status < 300:
                return True
            if isinstance(reply, Reply) and reply.status != 503:
                raise refusal(reply)
            pause = self.backoff.pause(min(tries, self.backoff.retries)) or self.backoff.first_s
            if waited + pause > wait_s:
                break
            yield Pause(pause)
            waited += pause
        return False


def path_part(name: str) -> str:
    """An id as a part of a path.

    Raises:
        TributeError: not an id.
    """
    try:
        return quote(checked_id(name), safe="")
    except ValueError as error:
        raise TributeError(f"The id {error}") from None


def _header(name: str, value: str) -> str:
    if not (value.isascii() and value.isprintable() and " " not in value and 0 < len(value) <= 200):
        raise TributeError(f"{name} is {excerpt(value)}, expected 1 to 200 letters, digits and signs of ASCII")
    return value


def _with_place(
    error: ServiceError | MachineError, key: str, done: int, every: int
) -> ServiceError | MachineError:
    """The error, with how far the call came and how it goes on."""
    if not is_passing(error) and not done:
        return error
    so_far = f"{done} of {every} queries were answered before. " if done else ""
    again = f"Call again with idempotency_key={key!r}: what was recorded is not recorded twice."
    return with_sentence(error, so_far + again)


def _failed(state: ReportProgress) -> ServiceError:
    detail = state.problem or "The service says no more. Look at its log"
    message = f"The report of {state.period} failed: {detail.rstrip('.')}."
    return ServiceError(message, 200, "Report failed", detail, {})
