"""The service without HTTP: what the web application asks of attributors, writers and the reporter.

The parts are of this process, or handles of other processes on Ray Serve.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import orjson
import pyarrow as pa

from tribute.catalog import recorded_use
from tribute.config import Project
from tribute.errors import OverloadedError, TooSlowError, TributeError
from tribute.ids import nfc
from tribute.serving.attributing.attributor import Attributed
from tribute.serving.reports import Report
from tribute.serving.schemas import AttributionRequest, ServedModel
from tribute.serving.writing.sharding import Outboxes, WriterPart
from tribute.serving.writing.writer import WriterState
from tribute_storage import LakeError
from tribute_storage.outbox import KeyedReply, reply_body, with_periods

READY_S = 5.0
"""How long each part has to say that it is ready."""


class AttributorPart(Protocol):
    """What the engine asks of an attributor; see `Attributor`."""

    async def attribute(self, request: AttributionRequest, caller: str | None, key: str | None) -> Attributed: ...

    async def served(self) -> ServedModel: ...

    async def shown(self, uses: pa.Table) -> dict[str, Any]: ...


class ReporterPart(Protocol):
    """What the engine asks of a reporter; see `PeriodReporter`."""

    async def order(self, period: str, key: str | None) -> Report: ...

    async def report(self, report_id: str) -> Report | None: ...

    async def reports(self) -> list[Report]: ...


class Idempotency(NamedTuple):
    """The caller's key of a request, and the SHA-256 of the request."""

    key: str
    body_sha256: str


class FoundUse(NamedTuple):
    """A use that was recorded.

    Attributes:
        waits: whether it is still on the way to the lake.
        shown: with its influences, as in the answer that it was given; see `shown_use`.
    """

    time: datetime
    customer_id: str | None
    weight: float
    content_sha256: str
    simulate_run: str
    waits: bool
    shown: dict[str, Any]


class Readiness(NamedTuple):
    """Whether the service can do its work.

    Attributes:
        missing: what is missing, in words that may name files of this machine.
        parts: of the parts of the service, those that miss something: model, outbox, lake.
    """

    ready: bool
    missing: tuple[str, ...]
    parts: tuple[str, ...]


class ServiceEngine:
    """Attributes, records, finds and reports."""

    def __init__(
        self,
        project: Project,
        attributor: AttributorPart,
        writers: Sequence[WriterPart],
        reporter: ReporterPart,
    ) -> None:
        self._project, self._attributor, self._outboxes = project, attributor, Outboxes(writers)
        self._reporter, self._waiting = reporter, 0

    @property
    def project(self) -> Project:
        """Whose model it serves."""
        return self._project

    async def attribute(
        self,
        request: AttributionRequest,
        caller: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> bytes:
        """The answer, a JSON object of the form `AttributionAnswer`; what it says is recorded is on disk.

        Args:
            caller: whose turn it is among requests that wait.

        Raises:
            ConfigError: the request does not fit the model.
            ContentConflict: a query id, or the idempotency key, was used before for something else.
            OverloadedError: `serving.max_waiting` requests wait for their answers.
            TooSlowError: `serving.request_timeout_s` is over.
            LakeUnavailable: uses cannot be recorded now.
        """
        answer: bytes = await self._in_turn(self._attribute(request, caller, idempotency))
        return answer

    async def _attribute(
        self, request: AttributionRequest, caller: str | None, idempotency: Idempotency | None
    ) -> bytes:
        if idempotency is not None:
            given = await self._outboxes.of(idempotency.key).reply(idempotency.key, idempotency.body_sha256)
            if given is not None:
                return given
        attributed = await self._attributor.attribute(request, caller, idempotency and idempotency.key)
        if not request.record:
            return reply_body(attributed.head, 0)
        reply = None if idempotency is None else KeyedReply(*idempotency, attributed.head)
        recorded = await self._outboxes.record(attributed.uses, reply)
        return recorded.body or reply_body(with_periods(attributed.head, recorded.periods), recorded.new)

    async def find(self, query_id: str) -> dict[str, Any] | None:
        """A recorded use with its influences, as in the answer that it was given; None: no such use.

        From the outbox as long as it waits there, then from the lake.

        Raises:
            OverloadedError, TooSlowError: as `attribute`.
        """
        found = await self.use(query_id)
        return found and found.shown

    async def use(self, query_id: str) -> FoundUse | None:
        """What is known of a recorded use; see `find`."""
        found: FoundUse | None = await self._in_turn(self._use(nfc(query_id)))
        return found

    async def _use(self, query_id: str) -> FoundUse | None:
        uses = await self._outboxes.of(query_id).use(query_id)
        waits = uses is not None
        if uses is None:
            uses = await asyncio.to_thread(recorded_use, self._project, query_id)
        if uses is None:
            return None
        facts = uses.select(["time", "customer_id", "weight", "content_sha256", "simulate_run"]).to_pylist()[0]
        return FoundUse(**facts, waits=waits, shown=await self._attributor.shown(uses))

    async def content(self, query_id: str) -> dict[str, Any] | None:
        """The content of a recorded use, where `serving.keep_content_days` keeps it.

        Without it, content that an exact read-out waits for is nobody's to look at.
        """
        if not self._project.serving.keep_content_days:
            return None
        query_id = nfc(query_id)
        content = await self._outboxes.of(query_id).content(query_id)
        return None if content is None else orjson.loads(content)

    async def flush(self) -> int:
        """Bring every use that waits to the lake; their number."""
        return await self._outboxes.flush()

    async def drain(self, patience_s: float) -> None:
        """Bring every use that was recorded before to the lake, with its exact read-out where it waits for one.

        Args:
            patience_s: what is not read out then stays in the outbox.

        Raises:
            LakeError: the lake cannot be written.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._outboxes.drain()

    async def models(self) -> list[ServedModel]:
        """The models that are served."""
        return [await _in_time(self._project.serving.request_timeout_s, self._attributor.served())]

    async def writers(self) -> list[WriterState]:
        """The outboxes in figures."""
        return await self._outboxes.states()

    async def order_report(self, period: str, key: str | None = None) -> Report:
        """Order a report; see `PeriodReporter.order`."""
        return await self._reporter.order(period, key)

    async def report(self, report_id: str) -> Report | None:
        """A report that was ordered; None: no such report."""
        return await self._reporter.report(report_id)

    async def reports(self) -> list[Report]:
        """The reports that were ordered, the newest first."""
        return await self._reporter.reports()

    async def ready(self) -> Readiness:
        """Whether the model is loaded, every outbox can be written, and the lake can be reached."""
        parts = {"model": self.models(), "outbox": self._outboxes.probe(), "lake": self.writers()}
        missing = [(name, problem) for name, asked in parts.items() for problem in await _problems(asked)]
        words = tuple(f"{name}: {problem}" for name, problem in missing)
        return Readiness(not missing, words, tuple(dict.fromkeys(name for name, _ in missing)))

    async def _in_turn(self, work: Coroutine[Any, Any, Any]) -> Any:
        if self._waiting >= self._project.serving.max_waiting:
            work.close()
            raise OverloadedError("The service has as many requests as it takes. Send it again soon")
        self._waiting += 1
        try:
            return await _in_time(self._project.serving.request_timeout_s, work)
        finally:
            self._waiting -= 1


async def _problems(asked: Awaitable[Any]) -> list[str]:
    """Why a part of the service does not answer, or what it says is wrong."""
    try:
        async with asyncio.timeout(READY_S):
            found = await asked
    except (TributeError, LakeError) as error:
        return [str(error)]
    except TimeoutError:
        return [f"no answer within {READY_S:g} s"]
    return [each.failure for each in found or () if getattr(each, "failure", "")]


async def _in_time(seconds: float, work: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise TooSlowError(
            f"The request was not answered within {seconds:g} s. Send it again, with fewer or shorter "
            "queries; or raise serving.request_timeout_s"
        ) from None
