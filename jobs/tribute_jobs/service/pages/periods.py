"""Pages of months: the list, one month, and closing it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from tribute.errors import TributeError
from tribute_jobs.service.access.guard import form_of
from tribute_jobs.service.access.routing import AuditedRoute
from tribute_jobs.service.callers import Operator, Reader, Served
from tribute_jobs.service.closing import Closings
from tribute_jobs.service.pages.addresses import redirect
from tribute_jobs.service.pages.charts import scale_of
from tribute_jobs.service.pages.rendering import page
from tribute_jobs.service.problems import problem_of
from tribute_jobs.service.views.months import month_rows
from tribute_jobs.service.views.period import PeriodView, period_view
from tribute_storage import LakeError

router = APIRouter(route_class=AuditedRoute, include_in_schema=False)


def _closings(request: Request) -> Closings:
    found: Closings = request.app.state.closings
    return found


Closing = Annotated[Closings, Depends(_closings)]


@router.get("/periods")
def months(request: Request, service: Served, caller: Reader) -> Response:
    """All months."""
    return page(request, "months.html.j2", months=month_rows(service.project, caller.publisher_id))


@router.get("/periods/{period}")
def month(request: Request, service: Served, caller: Reader, closings: Closing, period: str) -> Response:
    """A month: pool, shares, who moved and why, alarms, proof."""
    view = period_view(service.project, period, caller.publisher_id)
    open_to_close = caller.publisher_id is None and view.state in ("draft", "half_closed")
    at_work = closings.at_work(period)
    response = page(
        request,
        "period.html.j2",
        view=view,
        shares=scale_of(each.share for each in view.shares),
        moved={(each.publisher_id, each.after.currency): each for each in view.moves.publishers}
        if view.moves
        else {},
        names={each.publisher_id: each.publisher_name for each in view.shares},
        at_work=at_work,
        problem=closings.problem(period, view.version) if open_to_close else None,
    )
    if at_work:
        response.headers["Refresh"] = "5"
    return response


@router.get("/periods/{period}/close")
def closing_page(request: Request, service: Served, _: Operator, period: str) -> Response:
    """What closing would make final, with the amounts, to confirm."""
    return _confirmation(request, period_view(service.project, period, None), "")


@router.post("/periods/{period}/close")
async def close(
    request: Request,
    service: Served,
    _: Operator,
    closings: Closing,
    period: str,
    form: Annotated[dict[str, str], Depends(form_of)],
) -> Response:
    """Close the month, if the month was typed and the draft is the one that was shown.

    What was recorded until now comes to the lake first, so that the month ends with all of its uses.
    """
    problem, version, status = "", form.get("version", ""), 422
    if form.get("month", "").strip() != period:
        problem = f"To close it, type the month as {period}. Nothing was changed."
    elif not version.isdecimal() or len(version) > 9:
        problem = "The form does not say which version was reviewed. Load this page again."
    else:
        try:
            await service.engine.drain(service.closing_waits_s)
            await run_in_threadpool(closings.begin, period, int(version))
        except (TributeError, LakeError) as error:
            problem, status = str(error), problem_of(error).status
        else:
            problem = closings.problem(period, int(version)) or ""
    if problem:
        view = await run_in_threadpool(period_view, service.project, period, None)
        return _confirmation(request, view, problem, status)
    return redirect(request, f"/periods/{period}")


def _confirmation(request: Request, view: PeriodView, problem: str, status: int = 200) -> Response:
    return page(request, "close.html.j2", status, view=view, problem=problem)
