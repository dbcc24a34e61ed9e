"""The Ray Serve application: web application, attributors, writers, a reporter. Every Serve call is in this room.

The web application asks the others through handles; each of them can die and is started again.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

# On a busy machine a proxy takes longer to start than Serve's default of five seconds.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "30")
# The proxy calls the web application by gRPC, which costs half as much as Ray's object store.
os.environ.setdefault("RAY_SERVE_PROXY_USE_GRPC", "1")
# The web server would believe what a caller says about its address.
os.environ["FORWARDED_ALLOW_IPS"] = ""

import pyarrow as pa
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from tribute.config import Project
from tribute.serving.coalescing import each_alone
from tribute.serving.handles import AttributorOnServe, ReporterOnServe, WriterOnServe
from tribute.serving.schemas import AttributionRequest, ServedModel
from tribute_storage.outbox import Recorded, Submission
from tribute_storage.outbox.readings import Reading

HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 2.0, 30.0
"""How often a replica is asked whether it lives: one that died is started again after that time."""
DRAIN_S = 30.0
"""How long a replica may take to answer what it has begun, when it is told to end."""
ON_HEAD = {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}
"""Where what keeps files runs: on the head node, which has the working folder on a disk of its own."""
Web = Callable[[Project, Any], Any]


# Serve pickles deployments when they are decorated, with the names that they use, and keeps the pickles to the end
# of the process. So deployments import heavy modules only where they run.
class AttributorReplica:
    """Holds the model. Several of them share the requests."""

    async def __init__(self, project: Project, writers: Sequence[DeploymentHandle]) -> None:  # type: ignore[misc]
        from tribute.serving.attributing.attributor import Attributor  # noqa: PLC0415  (see above)
        from tribute.serving.attributing.background import keep_reading  # noqa: PLC0415

        parts = [WriterOnServe(handle, project.serving) for handle in writers]

        async def counted(period: str) -> float:
            return sum(await asyncio.gather(*(part.counted(period) for part in parts)))

        self._attributor = await asyncio.to_thread(Attributor, project, counted)
        if self._attributor.distils:
            self._reading = asyncio.get_running_loop().create_task(keep_reading(self._attributor, parts))

    async def attribute(self, requests: Sequence[tuple[AttributionRequest, str | None, str | None]]) -> Any:
        """Attributions or errors; see `Attributor.attribute`."""
        return await each_alone(requests, lambda request: self._attributor.attribute(*request))

    async def served(self) -> ServedModel:
        """See `Attributor.served`."""
        return await self._attributor.served()

    async def shown(self, uses: pa.Table) -> dict[str, Any]:
        """See `Attributor.shown`."""
        return await self._attributor.shown(uses)


class WriterReplica:
    """Keeps an outbox. There is one for each."""

    async def __init__(self, project: Project, shard: int) -> None:  # type: ignore[misc]
        from tribute.serving.writer import Writer  # noqa: PLC0415  (see above)

        self._writer = await asyncio.to_thread(Writer, project, shard)
        self._flushing = asyncio.get_running_loop().create_task(self._writer.keep_flushing())

    async def record(self, submissions: Sequence[Submission]) -> list[Recorded | Exception]:
        """Outcomes or errors; see `Writer.record`."""
        return await each_alone(submissions, self._writer.record)

    async def check(self, uses: pa.Table) -> None:
        """See `Writer.check`."""
        await self._writer.check(uses)

    async def reply(self, key: str, body_sha256: str) -> bytes | None:
        """See `Writer.reply`."""
        return await self._writer.reply(key, body_sha256)

    async def use(self, query_id: str) -> pa.Table | None:
        """See `Writer.use`."""
        return await self._writer.use(query_id)

    async def content(self, query_id: str) -> str | None:
        """See `Writer.content`."""
        return await self._writer.content(query_id)

    async def lease(self, most: int) -> list[tuple[str, str]]:
        """See `Writer.lease`."""
        return await self._writer.lease(most)

    async def complete(self, readings: Sequence[Reading]) -> None:
        """See `Writer.complete`."""
        await self._writer.complete(readings)

    async def counted(self, period: str) -> float:
        """See `Writer.counted`."""
        return await self._writer.counted(period)

    async def flush(self) -> int:
        """See `Writer.flush`."""
        return await self._writer.flush()

    async def state(self) -> Any:
        """See `Writer.state`."""
        return await self._writer.state()

    async def __del__(self) -> None:
        if hasattr(self, "_flushing"):
            self._flushing.cancel()
            await self._writer.close()


class ReporterReplica:
    """Values periods on order."""

    async def __init__(self, project: Project, writers: Sequence[DeploymentHandle]) -> None:  # type: ignore[misc]
        from tribute.serving.reports import PeriodReporter  # noqa: PLC0415  (see above)
        from tribute.serving.writer import drain  # noqa: PLC0415

        parts = [WriterOnServe(handle, project.serving) for handle in writers]
        self._reporter = PeriodReporter(project, lambda: drain(parts))
        self._reporter.resume()

    async def order(self, period: str, key: str | None) -> Any:
        """See `PeriodReporter.order`."""
        return await self._reporter.order(period, key)

    async def report(self, report_id: str) -> Any:
        """See `PeriodReporter.report`."""
        return await self._reporter.report(report_id)

    async def reports(self) -> Any:
        """See `PeriodReporter.reports`."""
        return await self._reporter.reports()


class WebReplica:
    """Speaks HTTP."""

    def __init__(
        self,
        project: Project,
        web: Web,
        attributor: DeploymentHandle,
        writers: Sequence[DeploymentHandle],
        reporter: DeploymentHandle,
    ) -> None:
        self._project, self._web = project, web
        parts = [WriterOnServe(each, project.serving) for each in writers]
        self._parts = AttributorOnServe(attributor, project.serving), parts, ReporterOnServe(reporter)

    def __serve_build_asgi_app__(self) -> Any:
        from tribute.serving.engine import ServiceEngine  # noqa: PLC0415  (see above)

        return self._web(self._project, ServiceEngine(self._project, *self._parts))


def application(project: Project, web: Web) -> Application:
    """The application of a project.

    Args:
        web: makes the web application from the project and its `ServiceEngine`; a function of a module.
    """
    settings = project.serving
    alive = {"health_check_period_s": HEALTH_PERIOD_S, "health_check_timeout_s": HEALTH_TIMEOUT_S}
    alive |= {"graceful_shutdown_timeout_s": DRAIN_S}

    def deployment(kind: type, name: str, **options: Any) -> Any:
        made: Any = serve.deployment(kind)
        return made.options(name=name, **(alive | options))

    writers = [
        deployment(WriterReplica, f"Writer{shard}", max_ongoing_requests=1024, ray_actor_options=ON_HEAD).bind(
            project, shard
        )
        for shard in range(settings.writers)
    ]
    reporter = deployment(ReporterReplica, "Reporter", ray_actor_options=ON_HEAD).bind(project, writers)
    most = settings.max_replicas or settings.replicas
    scaling: dict[str, Any] = {"num_replicas": settings.replicas}
    if most > settings.replicas:
        ongoing = max(1, settings.max_waiting // 16)
        scaling = {
            "autoscaling_config": {
                "min_replicas": settings.replicas,
                "max_replicas": most,
                "target_ongoing_requests": ongoing,
            }
        }
    attributor = deployment(
        AttributorReplica,
        "Attributor",
        max_ongoing_requests=settings.max_waiting,
        max_queued_requests=max(8, settings.max_waiting // 4),
        ray_actor_options={"num_gpus": 1 if _gpus() else 0},
        **scaling,
    ).bind(project, writers)
    ingress = serve.ingress()(WebReplica)
    bound: Application = deployment(
        ingress, "Web", max_ongoing_requests=8 * settings.max_waiting * most, ray_actor_options={"num_cpus": 0}
    ).bind(project, web, attributor, writers, reporter)
    return bound


def _gpus() -> bool:
    import ray  # noqa: PLC0415  (see above)

    return bool(ray.is_initialized() and ray.cluster_resources().get("GPU"))
