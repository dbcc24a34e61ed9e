"""The Ray Serve application: web application, attributors, writers, a reporter. Every Serve call is in this room.

The web application asks the others through handles; each of them can die and is started again.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

# On a busy machine a proxy takes longer to start than Serve's default of five seconds.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "30")
# A proxy that died is started again after three checks, which are ten seconds apart by default.
os.environ.setdefault("RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S", "2")
# The proxy calls the web application by gRPC, which costs half as much as Ray's object store.
os.environ.setdefault("RAY_SERVE_PROXY_USE_GRPC", "1")
# The web server would believe what a caller says about its address.
os.environ["FORWARDED_ALLOW_IPS"] = ""

import pyarrow as pa
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from tribute.config import Project, ServingSettings
from tribute.errors import ConfigError
from tribute.serving.coalescing import each_alone
from tribute.serving.draining import DrainedApp
from tribute.serving.handles import GROUPS, AttributorOnServe, ReporterOnServe, WriterOnServe
from tribute.serving.schemas import AttributionRequest, ServedModel
from tribute_storage.outbox import Recorded, Submission

HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 2.0, 30.0
"""How often a replica is asked whether it lives: one that died is started again after that time."""
DRAIN_S = 30.0
"""How long a replica may take to answer what it has begun, when it is told to end."""
LARGE_MESSAGES = {"runtime_env": {"env_vars": {"RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1)}}}
"""Requests and uses of many megabytes pass between replicas: gRPC's own limit is 4 MiB."""
ON_HEAD = LARGE_MESSAGES | {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}
"""Where what keeps files runs: on the head node, which has the working folder on a disk of its own."""
Web = Callable[[Sequence[Any]], Any]


# Serve pickles deployments when they are decorated, with the names that they use, and keeps the pickles to the end
# of the process. So deployments import heavy modules only where they run.
class HeldModel:
    """An attributor in memory, and its work in the background, which ends when Serve puts it away."""

    def __init__(self, project: Project, writers: Sequence[DeploymentHandle]) -> None:
        from tribute.serving.attributing.attributor import Attributor  # noqa: PLC0415  (see above)

        self.writers = [WriterOnServe(handle, project) for handle in writers]
        self.attributor, self._reading = Attributor(project, self._counted), None

    _reading: "asyncio.Task[None] | None"

    async def _counted(self, period: str) -> float:
        return sum(await asyncio.gather(*(writer.counted(period) for writer in self.writers)))

    def start(self) -> None:
        """Begin to read sampled uses out."""
        from tribute.serving.attributing.background import keep_reading  # noqa: PLC0415  (see above)

        if self.attributor.distils:
            self._reading = asyncio.get_running_loop().create_task(keep_reading(self.attributor, self.writers))

    def __del__(self) -> None:
        if self._reading is not None:
            self._reading.get_loop().call_soon_threadsafe(self._reading.cancel)


class AttributorReplica:
    """Holds models. Several of them share the requests; a request goes where its model is, if it can."""

    async def __init__(  # type: ignore[misc]
        self, projects: Mapping[str, Project], writers: Sequence[DeploymentHandle]
    ) -> None:
        self._projects, self._writers = projects, writers
        await self.model(next(iter(projects)))

    async def model(self, name: str) -> HeldModel:
        """Load the model of a project. `application` lets Serve keep what was loaded, up to a number."""
        held = await asyncio.to_thread(HeldModel, self._projects[name], self._writers)
        held.start()
        return held

    async def attribute(
        self, name: str, requests: Sequence[tuple[AttributionRequest, str | None, str | None]]
    ) -> Any:
        """Attributions or errors; see `Attributor.attribute`."""
        held = await self.model(name)
        return await each_alone(requests, lambda request: held.attributor.attribute(*request))

    async def served(self, name: str) -> ServedModel:
        """See `Attributor.served`."""
        return await (await self.model(name)).attributor.served()

    async def shown(self, name: str, uses: pa.Table) -> dict[str, Any]:
        """See `Attributor.shown`."""
        return await (await self.model(name)).attributor.shown(uses)


class WriterReplica:
    """Keeps an outbox of every project. There is one for each shard."""

    async def __init__(self, projects: Mapping[str, Project], shard: int) -> None:  # type: ignore[misc]
        from tribute.serving.writer import Writer  # noqa: PLC0415  (see above)

        self._writers = {name: await asyncio.to_thread(Writer, each, shard) for name, each in projects.items()}
        loop = asyncio.get_running_loop()
        self._flushing = [loop.create_task(writer.keep_flushing()) for writer in self._writers.values()]

    async def record(self, name: str, submissions: Sequence[Submission]) -> list[Recorded | Exception]:
        """Outcomes or errors; see `Writer.record`."""
        return await each_alone(submissions, self._writers[name].record)

    async def ask(self, name: str, method: str, *arguments: Any) -> Any:
        """What a method of `Writer` returns."""
        return await getattr(self._writers[name], method)(*arguments)

    async def __del__(self) -> None:
        for task in getattr(self, "_flushing", ()):
            task.cancel()
        for writer in getattr(self, "_writers", {}).values():
            await writer.close()


class ReporterReplica:
    """Values periods on order."""

    async def __init__(  # type: ignore[misc]
        self, projects: Mapping[str, Project], writers: Sequence[DeploymentHandle]
    ) -> None:
        from tribute.serving.reports import PeriodReporter  # noqa: PLC0415  (see above)
        from tribute.serving.writer import drain  # noqa: PLC0415

        self._reporters = {}
        for name, project in projects.items():
            parts = [WriterOnServe(handle, project) for handle in writers]
            self._reporters[name] = PeriodReporter(project, partial(drain, parts))
            self._reporters[name].resume()

    async def ask(self, name: str, method: str, *arguments: Any) -> Any:
        """What a method of `PeriodReporter` returns."""
        return await getattr(self._reporters[name], method)(*arguments)


class WebReplica:
    """Speaks HTTP."""

    def __init__(
        self,
        projects: Mapping[str, Project],
        web: Web,
        attributor: DeploymentHandle,
        writers: Sequence[DeploymentHandle],
        reporter: DeploymentHandle,
    ) -> None:
        self._projects, self._web = projects, web
        self._handles = attributor, writers, reporter
        self._app: DrainedApp | None = None

    def __serve_build_asgi_app__(self) -> Any:
        from tribute.serving.engine import ServiceEngine  # noqa: PLC0415  (see above)

        attributor, writers, reporter = self._handles
        engines = [
            ServiceEngine(
                project,
                AttributorOnServe(attributor, project),
                [WriterOnServe(each, project) for each in writers],
                ReporterOnServe(reporter, project),
            )
            for project in self._projects.values()
        ]
        self._app = DrainedApp(self._web(engines))
        return self._app

    async def drain(self) -> None:
        """See `DrainedApp.drain`."""
        if self._app is not None:
            await self._app.drain()


def application(projects: Sequence[Project], web: Web) -> Application:
    """The application of one or more projects. Settings of the service are those of the first one.

    Args:
        web: makes the web application from an engine for each project; a function of a module.

    Raises:
        ConfigError: two projects have one name.
    """
    named = {project.name: project for project in projects}
    if len(named) < len(projects):
        raise ConfigError(
            f"Two of the projects have one name: {', '.join(each.name for each in projects)}. Give each its own"
        )
    settings = projects[0].serving
    alive = {"health_check_period_s": HEALTH_PERIOD_S, "health_check_timeout_s": HEALTH_TIMEOUT_S}
    alive |= {"graceful_shutdown_timeout_s": DRAIN_S}

    def deployment(kind: type, name: str, **options: Any) -> Any:
        made: Any = serve.deployment(kind)
        return made.options(name=name, **(alive | options))

    writers = [
        deployment(WriterReplica, f"Writer{shard}", max_ongoing_requests=1024, ray_actor_options=ON_HEAD).bind(
            named, shard
        )
        for shard in range(settings.writers)
    ]
    reporter = deployment(ReporterReplica, "Reporter", ray_actor_options=ON_HEAD).bind(named, writers)
    held = serve.multiplexed(max_num_models_per_replica=settings.models_per_replica)(AttributorReplica.model)
    attributor = deployment(
        type("AttributorReplica", (AttributorReplica,), {"model": held}),
        "Attributor",
        max_ongoing_requests=settings.max_waiting,
        max_queued_requests=max(8, settings.max_waiting // 4),
        ray_actor_options=LARGE_MESSAGES | {"num_gpus": 1 if _gpus() else 0},
        **_scaling(settings),
    ).bind(named, writers)
    ingress = serve.ingress()(WebReplica)
    bound: Application = deployment(
        ingress, "Web", max_ongoing_requests=8 * settings.max_waiting, ray_actor_options=ON_HEAD
    ).bind(named, web, attributor, writers, reporter)
    return bound


def _scaling(settings: ServingSettings) -> dict[str, Any]:
    """How many replicas hold the models. The load is the messages on their way to them."""
    most = settings.max_replicas or settings.replicas
    if most == settings.replicas:
        return {"num_replicas": most}
    return {
        "autoscaling_config": {
            "min_replicas": settings.replicas,
            "max_replicas": most,
            "target_ongoing_requests": GROUPS / 2,
        }
    }


def _gpus() -> bool:
    import ray  # noqa: PLC0415  (see above)

    return bool(ray.is_initialized() and ray.cluster_resources().get("GPU"))
