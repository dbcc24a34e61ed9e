"""Pages for the operator alone: a use of the model, a run, and the quality of the data."""

import asyncio
from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from tribute.royalty.document import repetition_words
from tribute_jobs.service.access.routing import AuditedRoute
from tribute_jobs.service.callers import Operator, Served
from tribute_jobs.service.pages.charts import scale_of
from tribute_jobs.service.pages.rendering import page
from tribute_jobs.service.pages.tokens import coloured_tokens, recorded_tokens
from tribute_jobs.service.views.quality import quality_view
from tribute_jobs.service.views.query import query_view
from tribute_jobs.service.views.run import run_view

router = APIRouter(route_class=AuditedRoute, include_in_schema=False)


@router.get("/queries/{query_id:path}")
async def query(
    request: Request, service: Served, _: Operator, query_id: str, source: str | None = None, tokens: bool = False
) -> Response:
    """A use of the model: what was asked, and the sources and passages that shaped the answer."""
    engine = service.engine
    found, content = await asyncio.gather(engine.use(query_id), engine.content(query_id))
    asked = partial(query_view, service.project, query_id, source, found=found, content=content)
    view = await run_in_threadpool(asked)
    coloured = await run_in_threadpool(recorded_tokens, service.project, view)
    if coloured is None and tokens and view.content:
        coloured = await coloured_tokens(engine, view.content, view.prompt)
    return page(
        request,
        "query.html.j2",
        view=view,
        scale=scale_of(each.influence for each in view.sources),
        coloured=coloured,
        meaning=repetition_words(service.project.training.repetition).meaning,
    )


@router.get("/runs/{run_id}")
def run(request: Request, service: Served, _: Operator, run_id: str) -> Response:
    """A run: its stages, their cost, the certificate, its place in MLflow."""
    return page(request, "run.html.j2", view=run_view(service.project, run_id))


@router.get("/quality")
async def quality(request: Request, service: Served, _: Operator, check: bool = False) -> Response:
    """What checks find, copied text, queries unlike the corpus, failures, damage, and the outboxes."""
    view = await run_in_threadpool(quality_view, service.project, check)
    return page(request, "quality.html.j2", view=view, check=check, writers=await service.engine.writers())
