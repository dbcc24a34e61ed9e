"""Months and their valuations."""

from fastapi import APIRouter

from tribute_jobs.service.access.routing import AuditedRoute
from tribute_jobs.service.callers import READING, Month, Reader, Served
from tribute_jobs.service.views.figures import View
from tribute_jobs.service.views.months import MonthRow, month_rows
from tribute_jobs.service.views.period import PeriodView, period_view
from tribute_jobs.service.views.valuations import PeriodValuation, period_valuation

router = APIRouter(tags=["valuations"], route_class=AuditedRoute)


class MonthList(View):
    """Every month with a valuation or statements, the newest first."""

    months: list[MonthRow]


@router.get("/v1/periods", responses=READING)
def periods(service: Served, caller: Reader) -> MonthList:
    """Months: drafts, closed ones, and those that are only valued. A publisher sees its own part of each."""
    return MonthList(months=month_rows(service.project, caller.publisher_id))


@router.get("/v1/periods/{period}", responses=READING)
def period(service: Served, caller: Reader, period: str) -> PeriodView:
    """A month: pools, shares with intervals, who moved and why, alarms, proof. A publisher sees its own part."""
    return period_view(service.project, period, caller.publisher_id)


@router.get("/v1/valuations", responses=READING)
def valuations(service: Served, caller: Reader, period: Month) -> PeriodValuation:
    """The valuation that a month's statements pay, or else the newest. A publisher sees its own part."""
    return period_valuation(service.project, period, caller.publisher_id)
