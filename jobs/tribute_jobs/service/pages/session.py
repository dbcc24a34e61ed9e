"""Signing in and out, the colours, and the files that all pages load."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.access.guard import asked, form_of
from tribute_jobs.service.access.routing import ServiceRoute
from tribute_jobs.service.access.sessions import CookieSettings, cookie_of, delete_cookie, set_cookie
from tribute_jobs.service.callers import AnyCaller, Reader, Served
from tribute_jobs.service.context import Service
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.pages.addresses import base_of, local, redirect
from tribute_jobs.service.pages.rendering import FOLDER, THEME, THEMES, page
from tribute_jobs.service.pages.wording import path
from tribute_jobs.service.views.months import newest_month

router = APIRouter(route_class=ServiceRoute, include_in_schema=False)
OPEN = frozenset(("/sign-in", "/theme", "/static/{name}"))
"""Paths that everybody may ask for."""
YEAR_S = 365 * 24 * 3600
_STATIC = {"pages.css": "text/css", "icon.svg": "image/svg+xml"}
Form = Annotated[dict[str, str], Depends(form_of)]


@router.get("/")
def home(request: Request, service: Served, caller: Reader) -> Response:
    """The operator's newest month, or the publisher's own page."""
    if caller.publisher_id is not None:
        return redirect(request, f"/publishers/{path(caller.publisher_id)}")
    month = newest_month(service.project, None)
    return redirect(request, f"/periods/{month}" if month else "/periods")


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> Response:
    """The form for a key."""
    return page(request, "sign_in.html.j2", next=local(next), refused="")


@router.post("/sign-in")
async def sign_in(request: Request, service: Served, form: Form) -> Response:
    """Begin a session, unless the key is none or may see no page."""
    keys = service.access.keys
    key = await asked(keys, keys.key_of, form.get("key", "").strip())
    if key is None or key.role == Role.INGEST:
        refused = (
            "This key is unknown or revoked. Copy all of it, as `tribute keys create` printed it."
            if key is None
            else "A key that reports uses may see no page. Ask the operator for another key."
        )
        return page(request, "sign_in.html.j2", 401, next=local(form.get("next", "/")), refused=refused)
    token = await run_in_threadpool(service.access.sessions.begin, key)
    response = redirect(request, local(form.get("next", "/")))
    set_cookie(response, token, _cookie(request, service))
    return response


@router.post("/sign-out")
async def sign_out(request: Request, service: Served, _: AnyCaller) -> Response:
    """End the session."""
    if token := request.cookies.get(cookie_of(service.project.name)):
        await run_in_threadpool(service.access.sessions.end, token)
    response = redirect(request, "/sign-in")
    delete_cookie(response, _cookie(request, service))
    return response


@router.post("/theme")
async def theme(request: Request, service: Served, form: Form) -> Response:
    """Keep the colours that somebody chose, and show the same page in them."""
    response = redirect(request, local(form.get("back", "/")))
    secure = _secure(request, service)
    if (chosen := form.get("theme")) in THEMES:
        response.set_cookie(THEME, chosen, YEAR_S, httponly=True, samesite="lax", secure=secure, path="/")
    else:
        response.delete_cookie(THEME, path="/", httponly=True, samesite="lax", secure=secure)
    return response


@router.get("/static/{name}")
def static(name: str) -> Response:
    """The style sheet and the icon."""
    if name not in _STATIC:
        raise Missing(f"There is no file {name[:80]!r}")
    headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
    return FileResponse(FOLDER / "static" / name, media_type=_STATIC[name], headers=headers)


def _cookie(request: Request, service: Service) -> CookieSettings:
    """Where the browser keeps a session of this service, beside those of others on the host."""
    name = cookie_of(service.project.name)
    return CookieSettings(name, base_of(request) or "/", _secure(request, service))


def _secure(request: Request, service: Service) -> bool:
    """Whether a cookie may only travel over HTTPS."""
    return service.project.serving.https or request.url.scheme == "https"
