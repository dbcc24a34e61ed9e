"""The page of a publisher."""

from fastapi import APIRouter, Request, Response

from tribute.config import Project
from tribute.ids import nfc
from tribute_jobs.service.access.caller import Caller
from tribute_jobs.service.access.routing import AuditedRoute
from tribute_jobs.service.callers import Reader, Served
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.pages.charts import MonthPoint, line_picture, scale_of
from tribute_jobs.service.pages.rendering import page
from tribute_jobs.service.views.evidence import Evidence, evidence
from tribute_jobs.service.views.publisher import publisher_view

router = APIRouter(route_class=AuditedRoute, include_in_schema=False)


@router.get("/publishers/{publisher_id:path}")
def publisher(
    request: Request,
    service: Served,
    caller: Reader,
    publisher_id: str,
    period: str | None = None,
    source: str | None = None,
) -> Response:
    """A publisher: value over months, sources, evidence, statement, proof. Another one's page is not found."""
    publisher_id = nfc(publisher_id)
    if caller.publisher_id not in (None, publisher_id):
        raise Missing("There is no such page, or it is not yours")
    view = publisher_view(service.project, publisher_id, period)
    chosen = source or (view.sources[0].source_id if view.sources else None)
    points = [MonthPoint(each.period, each.value, each.state != "draft") for each in view.months]
    return page(
        request,
        "publisher.html.j2",
        view=view,
        chosen=chosen,
        evidence=_evidence(service.project, caller, view.period, chosen, publisher_id, source is not None),
        points=points,
        picture=line_picture(points),
        digits=scale_of(each.value for each in view.months).digits,
        sources=scale_of(each.value for each in view.sources),
    )


def _evidence(
    project: Project, caller: Caller, period: str, source: str | None, publisher_id: str, passages: bool
) -> Evidence | None:
    """The evidence of a source; its passages only if it was asked for by name: finding them takes seconds."""
    if source is None:
        return None
    try:
        by_operator, most = caller.publisher_id is None, 3 if passages else 0
        return evidence(project, period, source, publisher_id, passages=most, for_operator=by_operator)[0]
    except Missing:
        if passages:
            raise
        return None
