"""The application as a whole."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.projects import write_project
from tribute.config import load_project
from tribute_jobs.service.context import Service
from tribute_jobs.service.web import web


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """The application of a project that has no engine yet."""
    engine: Any = None
    return TestClient(web(Service(load_project(write_project(tmp_path)), engine, access=None, reports=None)))


def test_it_answers(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_it_describes_itself(client: TestClient) -> None:
    described = client.get("/v1/openapi.json").json()
    assert described["info"]["title"] == "tribute"
    assert "application/problem+json" in described["paths"]["/healthz"]["get"]["responses"]["500"]["content"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_scripts_of_other_hosts(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404
