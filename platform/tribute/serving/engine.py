"""The service without HTTP: what the web application asks of attributors, writers and the reporter.

The same class works in one process (tests, notebooks) and over Ray Serve, where the parts are other processes.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
import pyarrow as pa

from tribute.catalog import recorded_use
from tribute.config import Project
from tribute.errors import TooSlowError, TributeError
from tribute.serving.attributing.attributor import Attributed
from tribute.serving.reports import Report
from tribute.serving.schemas import AttributionRequest, ServedModel
from tribute.serving.writer import WriterState
from tribute_storage import LakeError
from tribute_storage.outbox import KeyedReply, Recorded, Submission, reply_body, with_periods

READY_S = 5.0
"""How long each part has to say that it is ready."""


class AttributorPart(Protocol):
    """What the engine asks of an attributor; see `Attributor`."""

    async def attribute(self, request: AttributionRequest, caller: str | None, key: str | None) -> Attributed: ...

    async def served(self) -> ServedModel: ...

    async def shown(self, uses: pa.Table) -> dict[str, Any]: ...


class WriterPart(Protocol):
    """What the engine asks of a writer; see `Writer`."""

    async def record(self, submission: Submission) -> Recorded: ...

    async def check(self, uses: pa.Table) -> None: ...

    async def reply(self, key: str, body_sha256: str) -> bytes | None: ...

    async def use(self, query_id: str) -> pa.Table | None: ...

    async def content(self, query_id: str) -> str | None: ...

    async def flush(self) -> int: ...

    async def state(self) -> WriterState: ...


class ReporterPart(Protocol):
    """What the engine asks of a reporter; see `PeriodReporter`."""

    async def order(self, period: str, key: str | None) -> Report: ...

    async def report(self, report_id: str) -> Report | None: ...

    async def reports(self) -> list[Report]: ...


class Idempotency(NamedTuple):
    """The caller's key of a request, and the SHA-256 of the request."""

    key: str
    body_sha256: str


class Readiness(NamedTuple):
    """Whether the service can do its work; what is missing, in words."""

    ready: bool
    missing: tuple[str, ...]


class ServiceEngine:
    """Attributes, records, finds and reports."""

    def __init__(
        self,
        project: Project,
        attributor: AttributorPart,
        writers: Sequence[WriterPart],
        reporter: ReporterPart,
    ) -> None:
        self._project, self._attributor, self._writers = project, attributor, list(writers)
        self._reporter = reporter

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
            OverloadedError: there are too many requests.
            TooSlowError: `serving.request_timeout_s` is over.
            LakeUnavailable: uses cannot be recorded now.
        """
        return await self._in_time(self._attribute(request, caller, idempotency))

    async def _attribute(
        self, request: AttributionRequest, caller: str | None, idempotency: Idempotency | None
    ) -> bytes:
        if idempotency is not None:
            given = await self._shard(idempotency.key).reply(idempotency.key, idempotency.body_sha256)
            if given is not None:
                return given
        attributed = await self._attributor.attribute(request, caller, idempotency and idempotency.key)
        if not request.record:
            return reply_body(attributed.head, 0)
        reply = None if idempotency is None else KeyedReply(*idempotency, attributed.head)
        recorded = await self._record(attributed.uses, reply)
        return recorded.body or reply_body(with_periods(attributed.head, recorded.periods), recorded.new)

    async def find(self, query_id: str) -> dict[str, Any] | None:
        """A recorded use with its influences, as in the answer that it was given; None: no such use.

        From the outbox as long as it waits there, then from the lake.

        Raises:
            TooSlowError: `serving.request_timeout_s` is over.
        """
        found: dict[str, Any] | None = await self._in_time(self._find(query_id))
        return found

    async def _find(self, query_id: str) -> dict[str, Any] | None:
        uses = await self._shard(query_id).use(query_id)
        if uses is None:
            uses = await asyncio.to_thread(recorded_use, self._project, query_id)
        return None if uses is None else await self._attributor.shown(uses)

    async def content(self, query_id: str) -> dict[str, Any] | None:
        """The content of a recorded use, where `serving.keep_content_days` kept it."""
        content = await self._shard(query_id).content(query_id)
        return None if content is None else orjson.loads(content)

    async def flush(self) -> int:
        """Bring every use that waits to the lake; their number."""
        return sum(await asyncio.gather(*(writer.flush() for writer in self._writers)))

    async def models(self) -> list[ServedModel]:
        """The models that are served."""
        return [await self._in_time(self._attributor.served())]

    async def writers(self) -> list[WriterState]:
        """The outboxes in figures."""
        return list(await asyncio.gather(*(writer.state() for writer in self._writers)))

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
        missing = []
        for name, asked in (("model", self.models()), ("outbox", self.writers())):
            try:
                async with asyncio.timeout(READY_S):
                    found: Any = await asked
            except (TributeError, LakeError) as error:
                missing.append(f"{name}: {error}")
                continue
            except TimeoutError:
                missing.append(f"{name}: no answer within {READY_S:g} s")
                continue
            missing += [f"lake: {each.failure}" for each in found if getattr(each, "failure", "")]
        return Readiness(not missing, tuple(missing))

    async def _record(self, uses: pa.Table, reply: KeyedReply | None) -> Recorded:
        if len(self._writers) == 1:
            return await self._writers[0].record(Submission(uses, reply))
        if reply is not None:
            given = await self._shard(reply.key).reply(reply.key, reply.body_sha256)
            if given is not None:
                return Recorded(0, given)
        shard_Q = np.array([self._number(query_id) for query_id in uses["query_id"].to_pylist()])
        parts = {
            self._writers[number]: uses.filter(pa.array(shard_Q == number))
            for number in np.unique(shard_Q).tolist()
        }
        # A conflict in one outbox keeps the whole request out of the others.
        await asyncio.gather(*(writer.check(part) for writer, part in parts.items()))
        found = await asyncio.gather(*(writer.record(Submission(part)) for writer, part in parts.items()))
        new = sum(recorded.new for recorded in found)
        periods = {name: month for recorded in found for name, month in recorded.periods.items()}
        if reply is None:
            return Recorded(new, None, periods)
        whole = reply._replace(head=with_periods(reply.head, periods), recorded=new)
        return await self._shard(reply.key).record(Submission(uses.slice(0, 0), whole))

    def _shard(self, key: str) -> WriterPart:
        return self._writers[self._number(key)]

    def _number(self, key: str) -> int:
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % len(self._writers)

    async def _in_time(self, work: Awaitable[Any]) -> Any:
        seconds = self._project.serving.request_timeout_s
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise TooSlowError(
                f"The request was not answered within {seconds:g} s. Send it again, with fewer or shorter "
                "queries; or raise serving.request_timeout_s"
            ) from None
