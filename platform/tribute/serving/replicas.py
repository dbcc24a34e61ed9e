"""What Ray Serve starts: replicas of the parts of a service, or of all of it.

Serve pickles these classes when they become deployments, with the names that they use, and keeps the pickles to
the end of the process. So they import heavy modules only where they run.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from ray import serve
from ray.serve.handle import DeploymentHandle

from tribute.config import Project
from tribute.serving.coalescing import each_alone
from tribute.serving.draining import DrainedApp
from tribute.serving.handles import AttributorOnServe, ReporterOnServe, WriterOnServe
from tribute.serving.schemas import AttributionRequest, ServedModel
from tribute_storage.outbox import Recorded, Submission

if TYPE_CHECKING:
    from tribute.serving.engine import ServiceEngine

Web = Callable[[Sequence[Any]], Any]
WHOLE = "Service"
"""Name of the deployment that is a whole service."""


class HeldModel:
    """An attributor in memory, and its work in the background, which ends when Serve puts it away."""

    def __init__(self, project: Project, writers: Sequence[Any]) -> None:
        from tribute.serving.attributing.attributor import Attributor  # noqa: PLC0415  (see above)

        self.writers = writers
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


class ModelsReplica:
    """Holds models: those that were asked for last."""

    _writers: Mapping[str, Sequence[Any]]
    _projects: Mapping[str, Project]

    async def model(self, name: str) -> HeldModel:
        """Load the model of a project. `application` lets Serve keep what was loaded, up to a number."""
        held = await asyncio.to_thread(HeldModel, self._projects[name], self._writers[name])
        held.start()
        return held


class AttributorReplica(ModelsReplica):
    """Attributes for the web application. A request goes to a replica that has its model, if one is free."""

    async def __init__(  # type: ignore[misc]
        self, projects: Mapping[str, Project], writers: Sequence[DeploymentHandle]
    ) -> None:
        self._projects = projects
        self._writers = {
            name: [WriterOnServe(handle, project) for handle in writers] for name, project in projects.items()
        }
        await self.model(next(iter(projects)))

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
        from tribute.serving.writing.writer import Writer  # noqa: PLC0415  (see above)

        self._outboxes = {name: await asyncio.to_thread(Writer, each, shard) for name, each in projects.items()}
        loop = asyncio.get_running_loop()
        self._flushing = [loop.create_task(writer.keep_flushing()) for writer in self._outboxes.values()]

    async def record(self, name: str, submissions: Sequence[Submission]) -> list[Recorded | Exception]:
        """Outcomes or errors; see `Writer.record`."""
        return await each_alone(submissions, self._outboxes[name].record)

    async def ask(self, name: str, method: str, *arguments: Any) -> Any:
        """What a method of `Writer` returns."""
        return await getattr(self._outboxes[name], method)(*arguments)

    async def __del__(self) -> None:
        for task in getattr(self, "_flushing", ()):
            task.cancel()
        for writer in getattr(self, "_outboxes", {}).values():
            await writer.close()


class ReporterReplica:
    """Values periods on order.

    Args:
        writers: handles of all of them; None: the service is one deployment, which holds them.
    """

    async def __init__(  # type: ignore[misc]
        self, projects: Mapping[str, Project], writers: Sequence[DeploymentHandle] | None
    ) -> None:
        from tribute.serving.reports import PeriodReporter  # noqa: PLC0415  (see above)

        self._reporters = {}
        for name, project in projects.items():
            self._reporters[name] = PeriodReporter(project, partial(_drain, project, writers))
            self._reporters[name].resume()

    async def ask(self, name: str, method: str, *arguments: Any) -> Any:
        """What a method of `PeriodReporter` returns."""
        return await getattr(self._reporters[name], method)(*arguments)


class WebReplica:
    """Speaks HTTP, and asks the other parts through handles."""

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

    _app: DrainedApp | None = None

    def __serve_build_asgi_app__(self) -> Any:
        self._app = DrainedApp(self._web([self._engine(project) for project in self._projects.values()]))
        return self._app

    def _engine(self, project: Project) -> "ServiceEngine":
        from tribute.serving.engine import ServiceEngine  # noqa: PLC0415  (see above)

        attributor, writers, reporter = self._handles
        return ServiceEngine(
            project,
            AttributorOnServe(attributor, project),
            [WriterOnServe(each, project) for each in writers],
            ReporterOnServe(reporter, project),
        )

    async def drain(self) -> None:
        """See `DrainedApp.drain`."""
        if self._app is not None:
            await self._app.drain()


class WholeReplica(WebReplica, WriterReplica, ModelsReplica):
    """Speaks HTTP, holds the models and keeps the outboxes: no request leaves its process."""

    async def __init__(  # type: ignore[misc]
        self, projects: Mapping[str, Project], web: Web, reporter: DeploymentHandle
    ) -> None:
        self._projects, self._web, self._reporter = projects, web, reporter
        await WriterReplica.__init__(self, projects, 0)
        self._writers = {name: [writer] for name, writer in self._outboxes.items()}
        await self.model(next(iter(projects)))

    def _engine(self, project: Project) -> "ServiceEngine":
        from tribute.serving.engine import ServiceEngine  # noqa: PLC0415  (see above)

        attributor = AttributorHere(partial(self.model, project.name))
        return ServiceEngine(
            project, attributor, self._writers[project.name], ReporterOnServe(self._reporter, project)
        )


class AttributorHere:
    """An attributor of this process, which is loaded again if others took its place.

    Args:
        model: holds it.
    """

    def __init__(self, model: Callable[[], Any]) -> None:
        self._model = model

    async def attribute(self, request: AttributionRequest, caller: str | None, key: str | None) -> Any:
        """See `Attributor.attribute`."""
        return await (await self._model()).attributor.attribute(request, caller, key)

    async def served(self) -> ServedModel:
        """See `Attributor.served`."""
        found: ServedModel = await (await self._model()).attributor.served()
        return found

    async def shown(self, uses: pa.Table) -> dict[str, Any]:
        """See `Attributor.shown`."""
        found: dict[str, Any] = await (await self._model()).attributor.shown(uses)
        return found


async def _drain(project: Project, writers: Sequence[DeploymentHandle] | None) -> None:
    from tribute.serving.writing.writer import drain  # noqa: PLC0415  (see above)

    handles = [serve.get_deployment_handle(WHOLE)] if writers is None else writers
    await drain([WriterOnServe(handle, project) for handle in handles])
