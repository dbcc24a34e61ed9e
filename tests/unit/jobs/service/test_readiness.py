"""Readiness: looked at once a second, told in full to an operator, and by the names of parts to anybody."""

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.unit.jobs.service.conftest import HERE, bearer
from tribute.config import Project
from tribute.serving.engine import Readiness
from tribute_jobs.service.access.access import Access
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.context import Service
from tribute_jobs.service.readiness import FRESH_S, RecentReadiness
from tribute_jobs.service.web import web

WORDS = ("outbox: The outbox /srv/press/outbox-0.sqlite has no room", "lake: s3://press/lake does not answer")


class Unready:
    """An engine with a full disk and no lake. It counts how often it was asked."""

    asked = 0

    async def ready(self) -> Any:
        """What is missing."""
        self.asked += 1
        await asyncio.sleep(0.01)
        return Readiness(False, WORDS, ("outbox", "lake"))


@pytest.fixture
def engine() -> Any:
    """Not ready."""
    return Unready()


@pytest.fixture
def client(project: Project, access: Access, engine: Any) -> TestClient:
    """On another machine."""
    return TestClient(web(Service(project, engine, access)), HERE, client=("10.0.0.7", 1))


def test_however_many_ask_it_is_looked_at_once_a_second(engine: Any) -> None:
    moments = [0.0]
    recent = RecentReadiness(engine, lambda: moments[-1])

    async def ask() -> None:
        for moment, asked in ((0.0, 1), (FRESH_S - 0.01, 1), (FRESH_S, 2), (FRESH_S + 0.5, 2)):
            moments.append(moment)
            found = await asyncio.gather(*(recent.found() for _ in range(20)))
            assert {each.missing for each in found} == {WORDS}
            assert engine.asked == asked

    asyncio.run(ask())


def test_whoever_leaves_keeps_nobody_from_the_answer(engine: Any) -> None:
    recent = RecentReadiness(engine)

    async def ask() -> Readiness:
        first = asyncio.create_task(recent.found())
        second = asyncio.create_task(recent.found())
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(ask()).parts == ("outbox", "lake")


def test_only_an_operator_is_told_why(client: TestClient, access: Access) -> None:
    keys = {role: access.keys.create(role, role, "p1" if role == Role.PUBLISHER else None)[1] for role in Role}
    for headers in ({}, bearer(keys[Role.INGEST]), bearer(keys[Role.PUBLISHER]), bearer("trb_wrong")):
        answer = client.get("/readyz", headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json() == {"ready": False, "missing": ["outbox", "lake"]}
    whole = client.get("/readyz", headers=bearer(keys[Role.OPERATOR]))
    assert (whole.status_code, whole.json()) == (503, {"ready": False, "missing": [*WORDS]})


def test_without_keys_this_machine_is_told_why_and_no_other(client: TestClient) -> None:
    assert client.get("/readyz").json()["missing"] == ["outbox", "lake"]
    here = TestClient(client.app, HERE, client=("127.0.0.1", 1))
    assert here.get("/readyz").json()["missing"] == [*WORDS]
    assert here.get("/readyz", headers={"X-Forwarded-For": "127.0.0.1"}).json()["missing"] == ["outbox", "lake"]


def test_the_document_says_that_a_key_is_no_must(client: TestClient) -> None:
    operation = client.get("/v1/openapi.json").json()["paths"]["/readyz"]["get"]
    assert operation["security"] == [{}, {"HTTPBearer": []}]
