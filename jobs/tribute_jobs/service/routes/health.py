"""Whether the service lives and can work, which model it serves, and its figures for a monitor."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from tribute.serving.schemas import ServedModel
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.access.guard import known_caller
from tribute_jobs.service.access.routing import ServiceRoute
from tribute_jobs.service.callers import AnyCaller, Operator, Served
from tribute_jobs.service.problems import documented
from tribute_jobs.service.readiness import RecentReadiness

router = APIRouter(tags=["health"], route_class=ServiceRoute)


class ReadinessAnswer(BaseModel):
    """Whether requests can be answered; what is missing otherwise."""

    ready: bool
    missing: list[str] = Field(
        description="the parts that cannot work: model, outbox, lake. An operator reads why, such as `outbox: "
        "its disk is full`: with a key, or on this machine as long as there is none"
    )


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    responses={503: {"model": ReadinessAnswer, "description": "Not ready"}},
    openapi_extra={"security": [{}, {"HTTPBearer": []}]},
)
async def readyz(request: Request, response: Response) -> ReadinessAnswer:
    """The model is loaded, the outbox can be written, the lake can be reached; looked at once a second."""
    readiness: RecentReadiness = request.app.state.readiness
    found = await readiness.found()
    if not found.ready:
        response.status_code, response.headers["Retry-After"] = 503, "5"
    caller = await known_caller(request)
    whole = caller is not None and caller.role == Role.OPERATOR
    return ReadinessAnswer(ready=found.ready, missing=list(found.missing if whole else found.parts))


@router.get("/v1/models", responses=documented(401, 429, 500, 503, 504))
async def models(caller: AnyCaller, service: Served) -> list[ServedModel]:
    """The models whose answers are attributed here, where each is, and what a request may hold."""
    del caller
    found = [each.model_copy(update={"path": ""}) for each in await service.engine.models()]
    for engine in service.others:
        path = f"/models/{engine.project.name}"
        found += [each.model_copy(update={"path": path}) for each in await engine.models()]
    return found


@router.get("/metrics", response_class=PlainTextResponse, responses=documented(401, 403, 429, 500, 503))
async def metrics(caller: Operator, service: Served, request: Request) -> Response:
    """Figures in the text format of Prometheus. Those of requests are of the process that answers."""
    del caller
    text = request.app.state.figures.exposition(await service.engine.writers())
    return Response(text, media_type="text/plain; version=0.0.4")
