"""A small service with real stores: guarded routes, and two that are audited."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel
from starlette.testclient import TestClient

from tests.projects import write_project
from tribute.config import Project, load_project
from tribute_jobs.service import problems
from tribute_jobs.service.access.access import Access, open_access
from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.guard import require
from tribute_jobs.service.access.routing import AuditedRoute, ServiceRoute, concerns
from tribute_jobs.service.context import Service
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
    problems.install(app)
    app.include_router(plain)
    app.include_router(money)
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client on this machine."""
    with TestClient(app, HERE, client=("127.0.0.1", 50000), raise_server_exceptions=False) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    """The header that shows a key."""
    return {"Authorization": f"Bearer {key}"}
