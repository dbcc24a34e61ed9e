"""Route classes: a caller is recognised before the body is read, and accesses to money are recorded."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.concurrency import run_in_threadpool

from tribute.serving.requests import WrittenRequest
from tribute_jobs.service.access.audit import AuditEntry, anonymous, known
from tribute_jobs.service.access.caller import Caller
from tribute_jobs.service.access.guard import SAFE, caller_of, guard_of, shown_prefix
from tribute_jobs.service.context import service_of
from tribute_jobs.service.problems import problem_of

BEGAN, LEFT = 102, 499
"""Status of a change that began, and of a request whose client went away before the answer."""
Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class ServiceRoute(APIRoute):
    """A route whose guard comes first, so nobody without a key makes the service read a body."""

    def get_route_handler(self) -> Answer:
        """The handler of FastAPI, behind the guard."""
        answer, guard = super().get_route_handler(), guard_of(self.dependant)

        async def handle(request: Request) -> Response:
            written = request if isinstance(request, WrittenRequest) else _written(request)
            if guard is not None:
                await guard.admit(written)
            return await answer(written)

        return handle


class AuditedRoute(ServiceRoute):
    """A route to money or statements. Every request is recorded before it is answered, refused ones too.

    A change is also recorded before it begins. If the record cannot be written, the request fails.
    """

    def get_route_handler(self) -> Answer:
        """The handler of `ServiceRoute`, with a record of what it answered."""
        answer, guard, route = super().get_route_handler(), guard_of(self.dependant), self

        async def recorded(request: Request) -> Response:
            written = _written(request)
            try:
                if guard is not None:
                    await guard.admit(written)
                if written.method not in SAFE:
                    await _record(written, route, BEGAN)
                response = await answer(written)
            except asyncio.CancelledError:
                _append(written, route, LEFT, {})
                raise
            except Exception as error:
                await _record(written, route, problem_of(error).status)
                raise
            await _record(written, route, response.status_code, await _fields(written, route))
            return response

        return recorded


def concerns(request: Request, **asked: str) -> None:
    """Say what a request is about, where its path and query do not: `publisher_id`, `period`, `statement_id`."""
    unknown = asked.keys() - {"publisher_id", "period", "statement_id"}
    if unknown:
        raise ValueError(f"the audit table has no column {', '.join(sorted(unknown))}")
    request.state.concerns = {**getattr(request.state, "concerns", {}), **asked}


def audited_paths(app: FastAPI) -> set[str]:
    """The paths of all audited routes."""
    routes = iter_route_contexts(app.routes)
    return {route.path or "" for route in routes if isinstance(route.original_route, AuditedRoute)}


def _written(request: Request) -> WrittenRequest:
    return WrittenRequest(request.scope, request.receive)


async def _record(request: Request, route: APIRoute, status: int, body: Mapping[str, Any] | None = None) -> None:
    await run_in_threadpool(_append, request, route, status, body or {})


async def _fields(request: Request, route: APIRoute) -> Mapping[str, Any]:
    """The JSON object of the body of an answered request, which was read before; empty where there is none."""
    if route.body_field is None or "json" not in request.headers.get("content-type", ""):
        return {}
    body = await request.json()
    return body if isinstance(body, dict) else {}


def _append(request: Request, route: APIRoute, status: int, body: Mapping[str, Any]) -> None:
    caller = caller_of(request)
    who = known(caller) if caller else anonymous(shown_prefix(request))
    entry = AuditEntry(
        **who,
        **_asked(request, caller, body),
        method=request.method,
        route=route.path,
        asked=f"{request.url.path}?{request.url.query}".rstrip("?"),
        status=status,
        client=request.client.host if request.client else "",
    )
    service_of(request).access.audit.append(entry)


def _asked(request: Request, caller: Caller | None, body: Mapping[str, Any]) -> dict[str, str]:
    """Publisher, period and statement: as the route says, or else as path, query or body name them."""
    given = {**body, **request.query_params, **request.path_params}
    said = {
        "publisher_id": given.get("publisher_id") or given.get("publisher") or (caller and caller.publisher_id)
    }
    said |= {name: given.get(name) for name in ("period", "statement_id")}
    said |= getattr(request.state, "concerns", {})
    return {name: value if isinstance(value, str) else "" for name, value in said.items()}
