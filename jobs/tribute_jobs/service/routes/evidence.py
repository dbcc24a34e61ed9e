"""The evidence behind a source's value."""

from typing import Annotated

from fastapi import APIRouter, Query

from tribute.ids import LONGEST_ID
from tribute_jobs.service.access.routing import AuditedRoute
from tribute_jobs.service.callers import READING, Month, Reader, Served
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.evidence import Evidence, evidence
from tribute_jobs.service.views.figures import View
from tribute_jobs.service.views.months import newest_month

router = APIRouter(tags=["evidence"], route_class=AuditedRoute)


class EvidenceList(View):
    """The evidence of a source, for each publisher that has a part of it."""

    evidence: list[Evidence]


@router.get("/v1/evidence", responses=READING)
def of_source(
    service: Served,
    caller: Reader,
    source: Annotated[str, Query(min_length=1, max_length=LONGEST_ID, description="a source_id")],
    period: Month | None = None,
    answers: Annotated[int, Query(ge=0, le=1000, description="answers to list")] = 10,
    passages: Annotated[int, Query(ge=0, le=20, description="passages to find, which takes seconds")] = 3,
) -> EvidenceList:
    """The answers that a source shaped most, and its passages that did. A publisher may ask for its own,
    and reads pseudonyms of queries."""
    month = period or newest_month(service.project, caller.publisher_id)
    if month is None:
        raise Missing("No month is valued yet: POST /v1/reports, or tribute run")
    own = caller.publisher_id
    found = evidence(service.project, month, source, own, answers, passages, for_operator=own is None)
    return EvidenceList(evidence=found)
