"""HTML of a page: its template, its headers, and who reads it in which colours."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tribute.royalty.document import repetition_words
from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.guard import caller_of
from tribute_jobs.service.context import service_of
from tribute_jobs.service.pages import wording
from tribute_jobs.service.pages.addresses import base_of, based, own_address, own_path

FOLDER = Path(__file__).parents[1]
THEME = "tribute_theme"
"""The cookie of the colours; without it they are the browser's choice."""
THEMES = ("light", "dark")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
_PAGES = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {
    "money": wording.money,
    "moneys": wording.moneys,
    "signed": wording.signed,
    "part": wording.part,
    "number": wording.number,
    "nats": wording.nats,
    "nats_range": wording.nats_range,
    "version": wording.version,
    "month": wording.month,
    "short_month": wording.short_month,
    "moment": wording.moment,
    "path": wording.path,
    "state": wording.STATES.__getitem__,
    "basis": lambda basis: wording.BASES.get(basis, basis),
}
_PAGES.globals["repetition_words"] = repetition_words


def page(request: Request, template: str, status: int = 200, **content: Any) -> HTMLResponse:
    """A page; `content` is what its template shows."""
    caller, theme = caller_of(request), request.cookies.get(THEME)
    here = own_path(request)
    html = _PAGES.get_template(template).render(
        project=service_of(request).project.name,
        release=version("tribute"),
        caller=caller,
        operator=caller is not None and caller.role == Role.OPERATOR,
        navigation=_navigation(caller),
        theme=theme if theme in THEMES else None,
        here=here,
        here_with_query=own_address(request),
        **content,
    )
    return HTMLResponse(based(html, base_of(request)), status, HEADERS)


def _navigation(caller: Caller | None) -> list[tuple[str, str]]:
    """Where a caller may go."""
    if caller is None or caller.role == Role.INGEST:
        return []
    if caller.publisher_id is not None:
        return [("Your account", f"/publishers/{wording.path(caller.publisher_id)}"), ("Months", "/periods")]
    return [("Months", "/periods"), ("Data quality", "/quality")]
