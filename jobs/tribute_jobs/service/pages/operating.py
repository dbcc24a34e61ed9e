"""Pages for the operator alone: a use of the model, a run, and the quality of the data."""

from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from tribute.ids import nfc
from tribute_jobs.service.access.routing import AuditedRoute
from tribute_jobs.service.callers import Operator, Served
from tribute_jobs.service.context import Service
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.pages.charts import scale_of
from tribute_jobs.service.pages.rendering import page
from tribute_jobs.service.pages.tokens import coloured_tokens
from tribute_jobs.service.views.quality import quality_view
from tribute_jobs.service.views.query import QueryView, query_view
from tribute_jobs.service.views.run import run_view

router = APIRouter(route_class=AuditedRoute, include_in_schema=False)


@router.get("/queries/{query_id:path}")
async def query(
    request: Request, service: Served, _: Operator, query_id: str, source: str | None = None, tokens: bool = False
) -> Response:
    """A use of the model: what was asked, and the sources and passages that shaped the answer."""
    view = await _recorded(service, query_id, source)
    return page(
        request,
        "query.html.j2",
        view=view,
        scale=scale_of(each.influence for each in view.sources),
        coloured=await coloured_tokens(service.engine, view.content) if tokens and view.content else None,
    )


async def _recorded(service: Service, query_id: str, source: str | None) -> QueryView:
    """A query of the lake; one that waits in an outbox is brought there first."""
    content = await service.engine.content(nfc(query_id))
    view = partial(query_view, service.project, query_id, source, content=content)
    try:
        return await run_in_threadpool(view)
    except Missing:
        if await service.engine.find(query_id) is None:
            raise
        await service.engine.flush()
        return await run_in_threadpool(view)


@router.get("/runs/{run_id}")
def run(request: Request, service: Served, _: Operator, run_id: str) -> Response:
    """A run: its stages, their cost, the certificate, its place in MLflow."""
    return page(request, "run.html.j2", view=run_view(service.project, run_id))


@router.get("/quality")
async def quality(request: Request, service: Served, _: Operator, check: bool = False) -> Response:
    """What checks find, copied text, queries unlike the corpus, failures, damage, and the outboxes."""
    view = await run_in_threadpool(quality_view, service.project, check)
    return page(request, "quality.html.j2", view=view, check=check, writers=await service.engine.writers())
