"""Every failed request is answered with a problem that names the remedy."""

import logging

import pytest
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field
from starlette.testclient import TestClient

from tribute.errors import BusyError, ConfigError, DamagedFile, MachineError, ProofError
from tribute_jobs.service.access.caller import LOCAL
from tribute_jobs.service.pages.errors import install
from tribute_jobs.service.problems import HttpProblem
from tribute_storage.errors import LakeConflict, LakeDamaged, LakeError, LakeUnavailable

ERRORS = {
    "missing": (HttpProblem(404, "No such query", "q9 is unknown", {"X-Known": "12"}), 404),
    "input": (ConfigError("rate is 0. Give 1 or more"), 422),
    "lake": (LakeError("no such table"), 422),
    "busy": (BusyError("Another command is at work"), 503),
    "conflict": (LakeConflict("Another command came first"), 503),
    "machine": (MachineError("The disk is full. Make room"), 503),
    "away": (LakeUnavailable("The bucket does not answer"), 503),
    "damaged": (DamagedFile("a.json is cut"), 500),
    "damaged-bundle": (ProofError("The bundle has no such statement"), 500),
    "damaged-lake": (LakeDamaged("a.parquet is cut"), 500),
    "http": (HTTPException(405, headers={"Allow": "GET"}), 405),
    "defect": (KeyError("secret-of-a-caller"), 500),
}


class Order(BaseModel):
    """A body with a bounded field."""

    count: int = Field(ge=1)
    name: str


@pytest.fixture
def client() -> TestClient:
    """An application whose routes fail in every way that there is."""
    app = FastAPI()
    install(app)

    @app.get("/fail/{kind}")
    def fail(kind: str, request: Request) -> None:
        request.state.caller = LOCAL
        raise ERRORS[kind][0]

    @app.get("/fail-for-anybody/{kind}")
    def fail_for_anybody(kind: str) -> None:
        raise ERRORS[kind][0]

    @app.post("/orders")
    def order(order: Order) -> int:
        return order.count

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_a_problem(client: TestClient, kind: str) -> None:
    error, status = ERRORS[kind]
    answer = client.get(f"/fail/{kind}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert (content["type"], content["status"], set(content)) == (
        "about:blank",
        status,
        {"type", "title", "status", "detail"},
    )
    if kind not in ("http", "defect"):
        assert content["detail"] == str(error)
    assert (answer.headers.get("retry-after") == "5") == (status == 503)


@pytest.mark.parametrize("kind", ERRORS)
def test_a_caller_that_nobody_knows_is_told_of_no_file(
    client: TestClient, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    error, status = ERRORS[kind]
    whole, told = (client.get(f"/{path}/{kind}") for path in ("fail", "fail-for-anybody"))
    assert whole.status_code == told.status_code == status
    kept = {name: value for name, value in whole.headers.items() if name != "content-length"}
    assert kept == {name: value for name, value in told.headers.items() if name != "content-length"}
    if status < 500:
        assert told.json() == whole.json()
    else:
        assert "Its log says why" in told.json()["detail"] and str(error) not in told.text
        assert any(record.exc_info and record.exc_info[1] is error for record in caplog.records)


def test_headers_of_an_error_are_kept(client: TestClient) -> None:
    assert client.get("/fail/missing").headers["x-known"] == "12"
    assert client.get("/fail/http").headers["allow"] == "GET"


def test_a_defect_tells_the_client_nothing_and_the_log_all(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/fail/defect")
    assert "secret-of-a-caller" not in answer.text
    assert "Traceback" not in answer.text
    assert any(record.exc_info and "secret-of-a-caller" in str(record.exc_info[1]) for record in caplog.records)


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


def test_invalid_fields_are_named_with_what_is_expected(client: TestClient) -> None:
    answer = client.post("/orders", json={"count": 0})
    assert answer.status_code == 422
    assert "body.count: Input should be greater than or equal to 1" in answer.json()["detail"]
    assert "body.name: Field required" in answer.json()["detail"]


def test_a_value_is_not_said_back(client: TestClient) -> None:
    """What a client sent may be a secret, or text of a customer, which a log of problems must not hold."""
    assert "hunter2" not in client.post("/orders", json={"count": "hunter2", "name": "n"}).text
