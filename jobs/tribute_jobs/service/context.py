"""What the routes reach: the project, the engine, and who may ask for what."""

from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request

from tribute.config import Project
from tribute_jobs.service.access.access import Access


class Engine(Protocol):
    """The service without HTTP: attributes queries, records uses, and finds them again."""

    async def attribute(self, request: Any) -> Any:
        """Attribute queries; record them unless the request says otherwise."""

    async def find(self, query_id: str) -> Any:
        """The attribution of a recorded query, or None."""

    async def flush(self) -> Any:
        """Commit to the lake what is recorded so far."""

    async def ready(self) -> Any:
        """Whether model, outbox and lake are there."""

    async def models(self) -> Any:
        """The models that are served."""

    async def metrics(self) -> Any:
        """Counters of the parts of the service."""


@dataclass(frozen=True)
class Service:
    """Everything that a route needs, and nothing that knows HTTP."""

    project: Project
    engine: Engine
    access: Access


def service_of(request: Request) -> Service:
    """The service of a request, for `Depends`."""
    service: Service = request.app.state.service
    return service
