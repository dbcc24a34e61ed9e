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
from tribute.serving.models import ModelsReplica
from tribute.serving.schemas import AttributionRequest, ServedModel
from tribute_storage.outbox import Recorded, Submission

if TYPE_CHECKING:
    from tribute.serving.engine import ServiceEngine

Web = Callable[[Sequence[Any]], Any]
WHOLE = "Service"
"""Name of the deployment that is a whole service."""


class AttributorReplica(ModelsReplica):
    """Attributes for the web application. A request goes to a replica that has its model, if one is free."""

    async def __init__(  # type: ignore[misc]
        self, projects: Mapping[str, Project], writers: Sequence[DeploymentHandle]
    ) -> None:
        parts = {name: [WriterOnServe(each, project) for each in writers] for name, project in projects.items()}
        await ModelsReplica.__init__(self, projects, parts)

    async def attribute(
        self, name: str, requests: Sequence[tuple[AttributionRequest, str | None, str | None]]
    ) -> Any:
        """Attributions or errors; see `Attributor.attribute`."""
        held = await self.model(name)
        return await each_alone(requests, lambda request: held.attributor.attribute(*request))

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
        self._web, self._reporter = web, reporter
        await WriterReplica.__init__(self, projects, 0)
        await ModelsReplica.__init__(self, projects, {name: [each] for name, each in self._outboxes.items()})

    async def __del__(self) -> None:
        await self.stop_reading()
        await WriterReplica.__del__(self)

    def _engine(self, project: Project) -> "ServiceEngine":
        from tribute.serving.engine import ServiceEngine  # noqa: PLC0415  (see above)

        attributor = AttributorHere(self, project.name)
        return ServiceEngine(
            project, attributor, self._writers[project.name], ReporterOnServe(self._reporter, project)
        )


class AttributorHere:
    """An attributor of this process, which is loaded again if others took its place."""

    def __init__(self, models: ModelsReplica, name: str) -> None:
        self._models, self._name = models, name

    async def attribute(self, request: AttributionRequest, caller: str | None, key: str | None) -> Any:
        """See `Attributor.attribute`."""
        held = await self._models.model(self._name)
        return await held.attributor.attribute(request, caller, key)

    async def served(self) -> ServedModel:
        """See `ModelsReplica.served`."""
        return await self._models.served(self._name)

    async def shown(self, uses: pa.Table) -> dict[str, Any]:
        """See `Attributor.shown`."""
        return await (await self._models.model(self._name)).attributor.shown(uses)


async def _drain(project: Project, writers: Sequence[DeploymentHandle] | None) -> None:
    from tribute.serving.writing.writer import drain  # noqa: PLC0415  (see above)

    handles = [serve.get_deployment_handle(WHOLE)] if writers is None else writers
    await drain([WriterOnServe(handle, project) for handle in handles])
