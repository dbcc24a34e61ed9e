"""What the routes reach: the project, the engine, and who may ask for what."""

from dataclasses import dataclass

from fastapi import Request

from tribute.config import Project
from tribute.serving import ServiceEngine
from tribute_jobs.service.access.access import Access


@dataclass(frozen=True)
class Service:
    """Everything that a route needs, and nothing that knows HTTP."""

    project: Project
    engine: ServiceEngine
    access: Access
    others: tuple[ServiceEngine, ...] = ()
    """Engines of the projects that are served under /models/NAME."""
    closing_waits_s: float = 10.0
    """How long a closing waits for exact read-outs of recorded uses; later it says that they are to come."""


def service_of(request: Request) -> Service:
    """The service of a request, for `Depends`."""
    service: Service = request.app.state.service
    return service
