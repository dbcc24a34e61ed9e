"""Handles of deployments as parts of the engine: with errors of tribute, and patience with replicas that died."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle

from tribute.config import Project
from tribute.errors import OverloadedError, TributeError
from tribute.serving.coalescing import CoalescedCalls
from tribute.serving.schemas import AttributionRequest, ServedModel
from tribute_storage import LakeError
from tribute_storage.outbox import Recorded, Submission
from tribute_storage.outbox.readings import Reading

AGAIN_S = 0.2
GROUPS, LARGEST_GROUP = 4, 64
"""Messages of one caller on their way to a replica at the same time, and calls of one message."""
SHARED_SIZE = 16_384
"""Characters and features of a request up to which it shares a message, and of all requests in that message."""
SHARED_BYTES = 1 << 24
"""Of the uses in a message to a writer."""
_DIED = (RayActorError, ReplicaUnavailableError)


async def asked(handle: DeploymentHandle, method: str, *arguments: Any) -> Any:
    """What a deployment answers. A replica that dies meanwhile is asked again once it is back.

    Every call can be made again: records are named by their query ids, and the rest changes nothing. It ends when
    the caller's patience does.

    Raises:
        OverloadedError: as many requests wait as may.
        TributeError, LakeError: as the deployment raised it.
    """
    while True:
        response = getattr(handle, method).remote(*arguments)
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except BackPressureError:
            raise OverloadedError("The service has as many requests as it takes. Send it again soon") from None
        except _DIED:
            await asyncio.sleep(AGAIN_S)
        except DeploymentUnavailableError as error:
            raise OverloadedError(f"A part of the service does not start: {error}. Look at its log") from error
        except RayTaskError as error:
            if isinstance(error.cause, TributeError | LakeError):
                raise error.cause from None
            raise


def _by_grpc(handle: DeploymentHandle, **options: Any) -> DeploymentHandle:
    """The same handle. By gRPC a call costs half as much as by Ray's object store."""
    found: DeploymentHandle = handle.options(_by_reference=False, **options)
    return found


class AttributorOnServe:
    """The attributors, one of which answers; of one project."""

    def __init__(self, handle: DeploymentHandle, project: Project) -> None:
        settings, self._name = project.serving, project.name
        self._handle = _by_grpc(handle, multiplexed_model_id=project.name)
        at_once = GROUPS * (settings.max_replicas or settings.replicas)
        self._calls = CoalescedCalls[Any, Any](self._attribute, at_once, LARGEST_GROUP, SHARED_SIZE)
        self._large = CoalescedCalls[Any, Any](self._attribute, at_once, 1, SHARED_SIZE)

    async def attribute(self, request: AttributionRequest, caller: str | None, key: str | None) -> Any:
        """See `Attributor.attribute`. A small request waits for no large one, and for no other caller's."""
        size = sum(query.size for query in request.queries)
        calls = self._calls if size <= SHARED_SIZE else self._large
        return await calls.call((request, caller, key), size, caller)

    async def served(self) -> ServedModel:
        """See `Attributor.served`."""
        found: ServedModel = await asked(self._handle, "served", self._name)
        return found

    async def shown(self, uses: pa.Table) -> dict[str, Any]:
        """See `Attributor.shown`."""
        found: dict[str, Any] = await asked(self._handle, "shown", self._name, uses)
        return found

    async def _attribute(self, requests: Sequence[Any]) -> Sequence[Any]:
        found: Sequence[Any] = await asked(self._handle, "attribute", self._name, requests)
        return found


class WriterOnServe:
    """A writer, of one project."""

    def __init__(self, handle: DeploymentHandle, project: Project) -> None:
        self._handle, self._name = _by_grpc(handle), project.name
        self._calls = CoalescedCalls[Submission, Recorded](self._record, GROUPS, LARGEST_GROUP, SHARED_BYTES)

    async def record(self, submission: Submission) -> Recorded:
        """See `Writer.record`."""
        return await self._calls.call(submission, submission.uses.nbytes)

    async def check(self, uses: pa.Table) -> None:
        """See `Writer.check`."""
        await self._ask("check", uses)

    async def reply(self, key: str, body_sha256: str) -> bytes | None:
        """See `Writer.reply`."""
        found: bytes | None = await self._ask("reply", key, body_sha256)
        return found

    async def use(self, query_id: str) -> pa.Table | None:
        """See `Writer.use`."""
        return await self._ask("use", query_id)

    async def content(self, query_id: str) -> str | None:
        """See `Writer.content`."""
        found: str | None = await self._ask("content", query_id)
        return found

    async def lease(self, most: int) -> list[tuple[str, str]]:
        """See `Writer.lease`."""
        found: list[tuple[str, str]] = await self._ask("lease", most)
        return found

    async def complete(self, readings: Sequence[Reading]) -> None:
        """See `Writer.complete`."""
        await self._ask("complete", readings)

    async def counted(self, period: str) -> float:
        """See `Writer.counted`."""
        found: float = await self._ask("counted", period)
        return found

    async def probe(self) -> None:
        """See `Writer.probe`."""
        await self._ask("probe")

    async def flush(self) -> int:
        """See `Writer.flush`."""
        found: int = await self._ask("flush")
        return found

    async def state(self) -> Any:
        """See `Writer.state`."""
        return await self._ask("state")

    async def _ask(self, method: str, *arguments: Any) -> Any:
        return await asked(self._handle, "ask", self._name, method, *arguments)

    async def _record(self, submissions: Sequence[Submission]) -> Sequence[Recorded | Exception]:
        found: Sequence[Recorded | Exception] = await asked(self._handle, "record", self._name, submissions)
        return found


class ReporterOnServe:
    """The reporter, of one project."""

    def __init__(self, handle: DeploymentHandle, project: Project) -> None:
        self._handle, self._name = _by_grpc(handle), project.name

    async def order(self, period: str, key: str | None) -> Any:
        """See `PeriodReporter.order`."""
        return await asked(self._handle, "ask", self._name, "order", period, key)

    async def report(self, report_id: str) -> Any:
        """See `PeriodReporter.report`."""
        return await asked(self._handle, "ask", self._name, "report", report_id)

    async def reports(self) -> Any:
        """See `PeriodReporter.reports`."""
        return await asked(self._handle, "ask", self._name, "reports")
