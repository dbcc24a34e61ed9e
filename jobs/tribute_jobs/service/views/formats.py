"""The formats of statements: what each is, and its bytes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tribute.config import Project
from tribute.royalty import render
from tribute.royalty.document import Statement
from tribute.royalty.exact import month_after
from tribute_jobs.period.alarms import period_alarms
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.proofs import bundle_path, signed_statement
from tribute_jobs.service.views.settled import Settled, find_statement, newest_statements


class StatementFormat(StrEnum):
    """Formats of one statement."""

    JSON = "json"
    TEXT = "text"
    HTML = "html"
    PDF = "pdf"


class MonthFormat(StrEnum):
    """Formats of a whole month, for the operator."""

    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"
    BUNDLE = "bundle"


MEDIA_TYPES = {
    "json": "application/json",
    "bundle": "application/json",
    "text": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_ENDINGS = {"text": "txt", "bundle": "json"}


@dataclass(frozen=True)
class StatementFile:
    """A file to send."""

    name: str
    media_type: str
    content: bytes


def statement_file(
    project: Project, statement_id: str, kind: StatementFormat, publisher_id: str | None
) -> StatementFile:
    """A statement in a format; as JSON with its proof, if its month is closed.

    Raises:
        Missing: there is no such statement, or it is another publisher's.
    """
    statement = find_statement(project, statement_id, publisher_id)
    render_as: dict[StatementFormat, Callable[[], bytes]] = {
        StatementFormat.JSON: lambda: signed_statement(project, statement).canonical(),
        StatementFormat.TEXT: lambda: render.render_text(statement).encode(),
        StatementFormat.HTML: lambda: render.render_html(signed_statement(project, statement)).encode(),
        StatementFormat.PDF: lambda: render.render_pdf(signed_statement(project, statement)),
    }
    return _file(_UNSAFE.sub("-", statement.statement_id)[:120], kind, render_as[kind]())


def month_file(project: Project, period: str, kind: MonthFormat) -> StatementFile:
    """All statements of a month in a format. For the operator: it holds every publisher's.

    Raises:
        Missing: the month is not settled; or its bundle was asked for, and is not in this folder.
    """
    settled = newest_statements(project, period, None)
    statements = settled.statements
    if not statements:
        raise Missing(f"Period {period} is not settled. Settle it: tribute run PROJECT.yaml --period {period}")
    render_as: dict[MonthFormat, Callable[[], bytes]] = {
        MonthFormat.CSV: lambda: render.period_csv(statements).encode(),
        MonthFormat.XLSX: lambda: render.period_xlsx(statements),
        MonthFormat.HTML: lambda: _report(project, statements).encode(),
        MonthFormat.BUNDLE: lambda: _bundle(project, settled),
    }
    return _file(f"{project.name}-{period}-v{statements[0].statement_version}", kind, render_as[kind]())


def _report(project: Project, statements: Sequence[Statement]) -> str:
    before = newest_statements(project, month_after(statements[0].period, -1), None).statements
    return render.render_report(statements, findings=period_alarms(project, statements, before))


def _bundle(project: Project, settled: Settled) -> bytes:
    first = settled.statements[0]
    path = bundle_path(project, first)
    if settled.state != "final" or not path.is_file():
        raise Missing(f"{first.period} has no bundle here: it is open, or another folder on this lake signed it")
    return path.read_bytes()


def _file(stem: str, kind: str, content: bytes) -> StatementFile:
    return StatementFile(f"{stem}.{_ENDINGS.get(kind, kind)}", MEDIA_TYPES[kind], content)
