"""Statements, in every format."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from tribute_jobs.service.access.routing import AuditedRoute, concerns
from tribute_jobs.service.callers import READING, Month, Operator, Reader, Served
from tribute_jobs.service.views.formats import (
    MEDIA_TYPES,
    MonthFormat,
    StatementFile,
    StatementFormat,
    month_file,
    statement_file,
)
from tribute_jobs.service.views.settled import StatementList, find_statement, statement_list

router = APIRouter(tags=["statements"], route_class=AuditedRoute)
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


def _content(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The media types that a route answers with, for its OpenAPI document."""
    content: dict[str, Any] = {MEDIA_TYPES[kind]: {} for kind in kinds}
    return {200: {"description": "The file", "content": content}, **READING}


@router.get("/v1/statements", responses=READING)
def statements(service: Served, caller: Reader, period: Month) -> StatementList:
    """The statements of a month's newest version. A publisher sees its own."""
    return statement_list(service.project, period, caller.publisher_id)


@router.get("/v1/statements/{statement_id:path}", responses=_content(*StatementFormat), response_class=Response)
def statement(
    request: Request,
    service: Served,
    caller: Reader,
    statement_id: str,
    kind: Annotated[StatementFormat, Query(alias="format")] = StatementFormat.JSON,
) -> Response:
    """A statement of any version; as JSON with its proof, if the month is closed. Another publisher's is 404."""
    found = find_statement(service.project, statement_id, caller.publisher_id)
    concerns(request, publisher_id=found.publisher_id, period=found.period)
    return _sent(statement_file(service.project, statement_id, kind, caller.publisher_id))


@router.get("/v1/periods/{period}/files/{kind}", responses=_content(*MonthFormat), response_class=Response)
def month(service: Served, _: Operator, period: str, kind: MonthFormat) -> Response:
    """All statements of a month in one file: a table, a workbook, a report, or the signed bundle."""
    return _sent(month_file(service.project, period, kind))


def _sent(file: StatementFile) -> Response:
    disposition = "attachment" if file.name.endswith((".csv", ".xlsx")) else "inline"
    headers = {
        "Content-Disposition": f'{disposition}; filename="{file.name}"',
        "Content-Security-Policy": f"default-src 'none'; style-src {_style(file)}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return Response(file.content, media_type=file.media_type, headers=headers)


def _style(file: StatementFile) -> str:
    """What a statement's page may take styles from: the one that stands in it, by its hash."""
    found = _STYLE.search(file.content) if file.media_type.startswith("text/html") else None
    return f"'sha256-{b64encode(sha256(found[1]).digest()).decode()}'" if found else "'none'"
