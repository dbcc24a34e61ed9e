"""Reports: a month valued in the background."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from tribute.ids import excerpt
from tribute.serving import Report
from tribute_jobs.service.access.routing import AuditedRoute
from tribute_jobs.service.callers import Key, Operator, Served
from tribute_jobs.service.problems import HttpProblem, documented

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=AuditedRoute)


class ReportRequest(BaseModel):
    """The month to report on."""

    model_config = ConfigDict(extra="forbid")

    period: str = Field(description="YYYY-MM", examples=["2026-10"], pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")


class ReportAnswer(BaseModel):
    """A report and how far it is."""

    report_id: str
    period: str
    state: str = Field(description="queued, running, done or failed")
    ordered: str = Field(description="when, RFC 3339")
    ended: str | None = None
    value_run: str | None = Field(None, description="the valuation, as `tribute value` would make it")
    problem: str | None = Field(None, description="why it failed")
    report: dict[str, Any] | None = Field(None, description="the publishers' values; when it is done")
    tracking_problem: str | None = Field(None, description="why MLflow did not take it; the valuation stands")


@router.post("", status_code=202, responses=documented(401, 403, 409, 422, 429, 500, 503))
async def order(
    asked: ReportRequest,
    caller: Operator,
    service: Served,
    response: Response,
    key: Key = None,
) -> ReportAnswer:
    """Order the valuation of a month with all uses until now. Look at `Location` for the result.

    With the Idempotency-Key of an earlier order of the same month, the answer is that report.
    """
    named = None if key is None else f"{caller.key_id} {key}"
    found = await service.engine.order_report(asked.period, named)
    response.headers["Location"] = f"/v1/reports/{found.report_id}"
    return _answer(found)


@router.get("", responses=documented(401, 403, 429, 500, 503))
async def listed(caller: Operator, service: Served) -> list[ReportAnswer]:
    """The newest reports, without their content."""
    del caller
    return [_answer(each) for each in await service.engine.reports()]


@router.get("/{report_id}", responses=documented(401, 403, 404, 429, 500, 503))
async def report(report_id: str, caller: Operator, service: Served) -> ReportAnswer:
    """A report; its content as soon as it is done."""
    del caller
    found = await service.engine.report(report_id)
    if found is None:
        raise HttpProblem(404, "No such report", f"No report is called {excerpt(report_id)}. See: GET /v1/reports")
    return _answer(found)


def _answer(report: Report) -> ReportAnswer:
    return ReportAnswer(**report._asdict())
