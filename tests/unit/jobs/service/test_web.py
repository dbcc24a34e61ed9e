"""The application as a whole."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tribute.config import Project
from tribute_jobs.service.access.access import Access
from tribute_jobs.service.access.guard import guarded_routes
from tribute_jobs.service.access.routing import audited_paths
from tribute_jobs.service.context import Service
from tribute_jobs.service.web import OPEN, web

MONEY = ("statement", "valuation", "report", "period", "publisher", "evidence", "run")
"""Paths of routes to money hold one of these words."""


@pytest.fixture
def client(project: Project, access: Access) -> TestClient:
    """The whole application, of a project that has no engine."""
    engine: Any = None
    return TestClient(web(Service(project, engine, access)))


def test_it_answers(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_it_describes_itself(client: TestClient) -> None:
    described = client.get("/v1/openapi.json").json()
    assert described["info"]["title"] == "tribute"
    assert "application/problem+json" in described["paths"]["/healthz"]["get"]["responses"]["500"]["content"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_scripts_of_other_hosts(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_every_route_has_a_guard_or_is_known_to_be_open(client: TestClient) -> None:
    found = {route.path: route.roles for route in guarded_routes(client.app)}
    assert {path for path, roles in found.items() if roles is None} <= OPEN
    assert found.keys() >= OPEN


def test_every_route_to_money_is_audited(client: TestClient) -> None:
    paths = {route.path for route in guarded_routes(client.app)}
    money = {path for path in paths if any(word in path for word in MONEY)}
    assert money - audited_paths(client.app) == set()
