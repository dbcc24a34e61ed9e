"""The guard of a route: who asks, whether the role may, and whether the rate limit allows it."""

import hmac
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated, NamedTuple, ParamSpec, TypeVar
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from tribute.errors import TributeError
from tribute_jobs.service.access.access import Access
from tribute_jobs.service.access.caller import LOCAL, Caller, Role
from tribute_jobs.service.access.keys import Keys, prefix_of
from tribute_jobs.service.access.local import require_local, unknown_caller
from tribute_jobs.service.access.sessions import cookie_of
from tribute_jobs.service.context import service_of
from tribute_jobs.service.problems import HttpProblem

CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf_token"
LARGEST_FORM = 2**16
"""Bytes of a form that a page sends."""
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""
P = ParamSpec("P")
T = TypeVar("T")
_bearer = HTTPBearer(auto_error=False, description="a key of `tribute keys create`: trb_<prefix>_<secret>")


class Guard:
    """A dependency that lets callers of some roles through, and returns the caller."""

    def __init__(self, roles: frozenset[Role]) -> None:
        self.roles = roles

    async def __call__(self, request: Request, _: Annotated[object, Security(_bearer)] = None) -> Caller:
        """The caller.

        Raises:
            HttpProblem: 401, 403 or 429.
            TooManyRefusals: 429 instead of 401, to a caller that nobody knows.
        """
        return await self.admit(request)

    async def admit(self, request: Request) -> Caller:
        """The caller, found once for each request."""
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is None:
            access: Access = service_of(request).access
            caller = request.state.caller = await _counted(request, access)
            access.limits.take_request(caller)
            await _mark(access, caller)
        if caller.role not in self.roles:
            allowed = " or ".join(sorted(self.roles))
            raise HttpProblem(
                403,
                "Not allowed",
                f"The key {caller.key_id} has the role {caller.role}, and this needs {allowed}. Ask the operator "
                "for another key",
            )
        return caller


def require(*roles: Role) -> Guard:
    """The guard of a route, for `Depends`: callers of these roles may use it; at least one."""
    if not roles:
        raise ValueError("a guard without roles lets nobody through")
    return Guard(frozenset(roles))


def caller_of(request: Request) -> Caller | None:
    """Who sent a request that a guard recognised; None: nobody was."""
    return getattr(request.state, "caller", None)


async def known_caller(request: Request) -> Caller | None:
    """Who sends a request to a route that everybody may ask; None: nobody who is known."""
    try:
        return await _recognised(request, service_of(request).access)
    except (HttpProblem, TributeError):
        return None


async def asked(keys: Keys, question: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """What keys answer to a question: at once from memory, or in a thread where the file has to be read."""
    if keys.must_read():
        return await run_in_threadpool(question, *values, **named)
    return question(*values, **named)


def shown_prefix(request: Request) -> str:
    """The visible part of the key that a request shows, whether it is right or not."""
    return prefix_of(_shown(request) or "")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that a page sends, the last of each name.

    Raises:
        HttpProblem: 413 or 422.
    """
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LARGEST_FORM:
        raise HttpProblem(413, "Too large", f"A form has at most {LARGEST_FORM:,} bytes, and states how many")
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise HttpProblem(422, "Invalid form", f"The form cannot be read: {error}") from None
    return {name: values[-1] for name, values in fields.items()}


class GuardedRoute(NamedTuple):
    """A route as it can be inspected. `roles`: None if everybody may use it."""

    path: str
    methods: frozenset[str]
    roles: frozenset[Role] | None


def guarded_routes(app: FastAPI) -> Iterator[GuardedRoute]:
    """All routes of an application with the roles that they ask for."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        guard = guard_of(dependant) if dependant else None
        methods = frozenset(getattr(route, "methods", None) or ())
        yield GuardedRoute(route.path or "", methods, guard.roles if guard else None)


def guard_of(dependant: Dependant) -> Guard | None:
    """The first guard that a route depends on."""
    for each in dependant.dependencies:
        found = each.call if isinstance(each.call, Guard) else guard_of(each)
        if found:
            return found
    return None


def _shown(request: Request) -> str | None:
    """The key of the header; None: there is no such header."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, text = header.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


async def _counted(request: Request, access: Access) -> Caller:
    """The caller; a request of nobody known counts against the limit of its address."""
    try:
        return await _recognised(request, access)
    except HttpProblem:
        access.refusals.take(request.client.host if request.client else "")
        raise


async def _recognised(request: Request, access: Access) -> Caller:
    text = _shown(request)
    if text is not None:
        key = await asked(access.keys, access.keys.key_of, text)
        if key is None:
            raise unknown_caller(
                "The key is unknown or revoked. Send the header Authorization: Bearer trb_<prefix>_<secret>, as "
                "`tribute keys create` printed it"
            )
        return key.caller()
    token = request.cookies.get(cookie_of(service_of(request).project.name))
    caller = await run_in_threadpool(access.sessions.caller, token) if token else None
    unsafe = request.method not in SAFE
    if caller is not None:
        if unsafe:
            await _require_csrf_token(request, caller)
        return caller
    if await asked(access.keys, access.keys.never_made):
        require_local(request, unsafe)
        return LOCAL
    raise unknown_caller(
        "No key was shown. Send the header Authorization: Bearer trb_<prefix>_<secret>, or sign in at /sign-in. "
        "`tribute keys create` makes a key"
    )


async def _require_csrf_token(request: Request, caller: Caller) -> None:
    """Another site's page can let a browser send its cookies here, but cannot read what our pages hold."""
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and "form" in request.headers.get("content-type", ""):
        sent = (await form_of(request)).get(CSRF_FIELD)
    if not hmac.compare_digest((sent or "").encode(), (caller.csrf_token or "").encode()):
        raise HttpProblem(
            403, "Another page", "This change did not come from a page of your session. Load the page again"
        )


async def _mark(access: Access, caller: Caller) -> None:
    """Note that a key is in use. That is worth no failed request."""
    if caller is not LOCAL and access.keys.needs_mark(caller.key_id):
        with suppress(TributeError):
            await run_in_threadpool(access.keys.mark_used, caller.key_id)
