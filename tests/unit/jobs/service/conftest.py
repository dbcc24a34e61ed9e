"""A small service with real stores: guarded routes, and two that are audited."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel
from starlette.testclient import TestClient

from tests.projects import write_project
from tribute.config import Project, load_project
from tribute_jobs.service.access.access import Access, open_access
from tribute_jobs.service.access.audit import AuditLog
from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.guard import require
from tribute_jobs.service.access.keys import Keys
from tribute_jobs.service.access.limits import RateLimits
from tribute_jobs.service.access.routing import AuditedRoute, ServiceRoute, concerns
from tribute_jobs.service.access.sessions import Sessions
from tribute_jobs.service.access.store import AccessFile, access_path
from tribute_jobs.service.context import Service
from tribute_jobs.service.pages import errors
from tribute_jobs.service.problems import HttpProblem

HERE = "http://127.0.0.1:8000"


class Month(BaseModel):
    """A body with a period."""

    period: str


plain = APIRouter(route_class=ServiceRoute)
money = APIRouter(route_class=AuditedRoute)
AnyCaller = Annotated[Caller, Depends(require(*Role))]
Operator = Annotated[Caller, Depends(require(Role.OPERATOR))]
Reader = Annotated[Caller, Depends(require(Role.OPERATOR, Role.PUBLISHER))]


@plain.get("/me")
def me(caller: AnyCaller) -> dict[str, str | None]:
    """Who asks."""
    return {"key": caller.key_id, "role": caller.role, "publisher": caller.publisher_id, "csrf": caller.csrf_token}


@plain.post("/change")
def change(_: AnyCaller, month: Month) -> str:
    """A change by JSON."""
    return month.period


@plain.post("/form")
def form(_: AnyCaller) -> str:
    """A change by a form."""
    return "done"


@plain.get("/open")
def everybody() -> str:
    """A route without a guard."""
    return "open"


@money.get("/statements/{statement_id}")
def statement(statement_id: str, caller: Reader, request: Request) -> Response:
    """A statement of p1 of a month."""
    if statement_id == "lost":
        raise KeyError("a defect")
    if caller.publisher_id not in (None, "p1"):
        raise HttpProblem(404, "No such statement", "There is none")
    concerns(request, publisher_id="p1", period="2026-10")
    return Response("%PDF", media_type="application/pdf")


@money.get("/pages/{publisher_id}")
def publisher_page(publisher_id: str, _: Reader, period: str | None = None) -> str:
    """A page of a publisher, of any month."""
    return f"{publisher_id} {period}"


@money.post("/reports", status_code=202)
def report(month: Month, _: Operator) -> str:
    """A report of a month."""
    return month.period


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without a run."""
    return load_project(write_project(tmp_path))


@pytest.fixture
def access(project: Project) -> Access:
    """Its keys and audit table."""
    return open_access(project)


@pytest.fixture
def app(project: Project, access: Access) -> FastAPI:
    """The small service."""
    engine: Any = None
    app = FastAPI()
    app.state.service = Service(project, engine, access)
    errors.install(app)
    app.include_router(plain)
    app.include_router(money)
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client on this machine."""
    with TestClient(app, HERE, client=("127.0.0.1", 50000), raise_server_exceptions=False) as client:
        yield client


class WatchedFile(AccessFile):
    """The file of keys and accesses. It counts its uses in threads, and in event loops, which they hold up."""

    def __init__(self, path: Path) -> None:
        self.in_threads, self.in_loops = 0, 0
        super().__init__(path)

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """As of `AccessFile`."""
        self._count()
        return super().rows(query, *values)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """As of `AccessFile`."""
        self._count()
        with super().transaction() as connection:
            yield connection

    def _count(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.in_threads += 1
        else:
            self.in_loops += 1


def watched(project: Project) -> tuple[Access, WatchedFile]:
    """Access whose keys are read anew for every question, and its file."""
    file, ticks = WatchedFile(access_path(project)), count(0.0, 10.0)
    keys = Keys(file, lambda: next(ticks))
    return Access(keys, Sessions(file, keys), AuditLog(file), RateLimits(None, None)), file


def bearer(key: str) -> dict[str, str]:
    """The header that shows a key."""
    return {"Authorization": f"Bearer {key}"}
