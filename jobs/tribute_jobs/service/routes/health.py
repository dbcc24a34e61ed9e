"""Whether the service lives and can work, which model it serves, and its figures for a monitor."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from tribute.serving.schemas import ServedModel
from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.guard import require
from tribute_jobs.service.access.routing import ServiceRoute
from tribute_jobs.service.context import Service, service_of
from tribute_jobs.service.problems import documented

router = APIRouter(tags=["health"], route_class=ServiceRoute)
Found = Annotated[Service, Depends(service_of)]


class ReadinessAnswer(BaseModel):
    """Whether requests can be answered; what is missing otherwise."""

    ready: bool
    missing: list[str]


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": ReadinessAnswer, "description": "Not ready"}})
async def readyz(service: Found, response: Response) -> ReadinessAnswer:
    """The model is loaded, the outbox can be written, the lake can be reached."""
    found = await service.engine.ready()
    if not found.ready:
        response.status_code, response.headers["Retry-After"] = 503, "5"
    return ReadinessAnswer(ready=found.ready, missing=list(found.missing))


@router.get("/v1/models", responses=documented(401, 429, 500, 503, 504))
async def models(
    caller: Annotated[Caller, Depends(require(Role.OPERATOR, Role.INGEST, Role.PUBLISHER))], service: Found
) -> list[ServedModel]:
    """The models whose answers are attributed here, where each is, and what a request may hold."""
    del caller
    found = [each.model_copy(update={"path": ""}) for each in await service.engine.models()]
    for engine in service.others:
        path = f"/models/{engine.project.name}"
        found += [each.model_copy(update={"path": path}) for each in await engine.models()]
    return found


@router.get("/metrics", response_class=PlainTextResponse, responses=documented(401, 403, 429, 500, 503))
async def metrics(
    caller: Annotated[Caller, Depends(require(Role.OPERATOR))], service: Found, request: Request
) -> Response:
    """Figures in the text format of Prometheus. Those of requests are of the process that answers."""
    del caller
    text = request.app.state.figures.exposition(await service.engine.writers())
    return Response(text, media_type="text/plain; version=0.0.4")
