"""Route classes: a caller is recognised before the body is read, and accesses to money are recorded."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.concurrency import run_in_threadpool

from tribute.errors import TributeError
from tribute.serving.requests import WrittenRequest
from tribute_jobs.service.access.audit import AuditEntry, anonymous, known
from tribute_jobs.service.access.caller import Caller
from tribute_jobs.service.access.guard import SAFE, caller_of, guard_of, shown_prefix
from tribute_jobs.service.access.limits import TooManyRefusals
from tribute_jobs.service.context import service_of
from tribute_jobs.service.problems import problem_of

BEGAN, LEFT = 102, 499
"""Status of a change that began, and of a request whose client went away before the answer."""
Answer = Callable[[Request], Coroutine[Any, Any, Response]]
_log = logging.getLogger(__name__)


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

    A change is also recorded before it begins. If the record cannot be written, the request fails. Only what
    unknown callers send beyond `RefusalLimits` leaves no record.
    """

    def get_route_handler(self) -> Answer:
        """The handler of `ServiceRoute`, with a record of what it answered."""
        answer, guard, route = super().get_route_handler(), guard_of(self.dependant), self
        leaving = set[asyncio.Task[None]]()  # asyncio itself keeps no task alive

        async def recorded(request: Request) -> Response:
            written = _written(request)
            try:
                if guard is not None:
                    await guard.admit(written)
                if written.method not in SAFE:
                    await _record(written, route, BEGAN)
                response = await answer(written)
            except asyncio.CancelledError:
                await _record_leaving(written, route, leaving)
                raise
            except TooManyRefusals:
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


async def _record_leaving(request: Request, route: APIRoute, leaving: set[asyncio.Task[None]]) -> None:
    """Record that the client went away: in a task of its own, since this one is being cancelled."""

    async def record() -> None:
        try:
            await _record(request, route, LEFT)
        except TributeError:
            _log.exception("A client went away, and that could not be recorded")

    task = asyncio.get_running_loop().create_task(record())
    leaving.add(task)
    task.add_done_callback(leaving.discard)
    with suppress(asyncio.CancelledError):
        await asyncio.shield(task)


async def _record(request: Request, route: APIRoute, status: int, body: Mapping[str, Any] | None = None) -> None:
    await run_in_threadpool(_append, request, route, status, body or {})


async def _fields(request: Request, route: APIRoute) -> Mapping[str, Any]:
    """What the JSON object of an answered request says in fields that the route declares; it was read before."""
    if route.body_field is None or "json" not in request.headers.get("content-type", ""):
        return {}
    body, declared = await request.json(), getattr(route.body_field.field_info.annotation, "model_fields", {})
    return {name: body[name] for name in declared if name in body} if isinstance(body, dict) else {}


def _append(request: Request, route: APIRoute, status: int, body: Mapping[str, Any]) -> None:
    caller = caller_of(request)
    who = known(caller) if caller else anonymous(shown_prefix(request))
    entry = AuditEntry(
        **who,
        **_asked(route, request, caller, body),
        method=request.method,
        route=route.path,
        asked=f"{request.url.path}?{request.url.query}".rstrip("?"),
        status=status,
        client=request.client.host if request.client else "",
    )
    service_of(request).access.audit.append(entry)


def _asked(route: APIRoute, request: Request, caller: Caller | None, body: Mapping[str, Any]) -> dict[str, str]:
    """Publisher, period and statement: as the route says, or else as its own parameters name them.

    A publisher asks for itself, whatever its request says. A parameter that the route does not have says nothing.
    """
    query, names = request.query_params, _query_names(route.dependant)
    given = {**body, **{name: query[name] for name in names if name in query}, **request.path_params}
    said = {name: given.get(name) for name in ("publisher_id", "period", "statement_id")}
    if caller is not None and caller.publisher_id is not None:
        said["publisher_id"] = caller.publisher_id
    said |= getattr(request.state, "concerns", {})
    return {name: value if isinstance(value, str) else "" for name, value in said.items()}


def _query_names(dependant: Dependant) -> set[str]:
    """The parameters of the query that a route, or what it depends on, declares."""
    own = {each.alias for each in dependant.query_params}
    return own.union(*map(_query_names, dependant.dependencies))
