"""A service whose parts are processes of their own answers, records and values as one process does."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator

import httpx
import pytest
from ray import serve

from tests.chaos.ray_cluster import free_port
from tests.e2e.conftest import PERIOD
from tribute.config import Project, ServingSettings, load_project
from tribute.serving import local_engine, start
from tribute.serving.schemas import AttributionRequest
from tribute_jobs.service.application import web_of

OTHER = "2026-09"


@pytest.fixture(scope="module")
def served(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the finished project."""
    folder = tmp_path_factory.mktemp("parts") / "press"
    shutil.copytree(finished.workdir.parent, folder)
    settings = ServingSettings(port=free_port(), max_replicas=2, writers=2, flush_every_s=2.0)
    return load_project(folder / "project.yaml").model_copy(update={"serving": settings})


@pytest.fixture(scope="module")
def service(served: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=start([served], web_of), timeout=None) as client:
        yield client
    serve.shutdown()


@pytest.fixture(scope="module")
def asked(served: Project) -> dict:
    """The batch job's queries, used again in another month."""
    lines = (served.workdir.parent / "usage.jsonl").read_text().splitlines()
    usage = [json.loads(line) for line in lines]
    return {"queries": [row | {"time": row["time"].replace(PERIOD, OTHER)} for row in usage], "top_k": None}


def plain(query: dict) -> dict[str, float]:
    """Influences by source."""
    return {source["source_id"]: source["influence_nats"] for source in query["sources"]}


def test_each_part_is_a_deployment(service: httpx.Client) -> None:
    assert service.get("/readyz").json() == {"ready": True, "missing": []}
    [application] = serve.status().applications.values()
    assert {*application.deployments} == {"Web", "Attributor", "Writer0", "Writer1", "Reporter"}


def test_attributions_are_those_of_one_process(service: httpx.Client, served: Project, asked: dict) -> None:
    async def here() -> bytes:
        async with local_engine(served) as engine:
            return await engine.attribute(AttributionRequest.model_validate(asked | {"record": False}))

    expected = json.loads(asyncio.run(here()))
    found = service.post("/v1/attributions", json=asked | {"record": False}).json()
    assert found == expected


def test_what_is_recorded_is_found_counts_once_and_is_valued(service: httpx.Client, asked: dict) -> None:
    headers = {"Idempotency-Key": "a-month"}
    answers = [service.post("/v1/attributions", json=asked, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["recorded"] == len(asked["queries"])
    first = answers[0].json()["queries"][0]
    found = service.get(f"/v1/attributions/{first['query_id']}").json()
    assert plain(found) == pytest.approx(plain(first), rel=1e-5, abs=1e-7)
    ordered = service.post("/v1/reports", json={"period": OTHER})
    while (report := service.get(ordered.headers["location"]).json())["state"] in ("queued", "running"):
        time.sleep(0.05)
    assert report["report"]["queries"] == len(asked["queries"])


def test_a_message_of_many_megabytes_gets_through(service: httpx.Client) -> None:
    """More than gRPC's own 4 MiB: it is the attributor that refuses it."""
    answer = service.post("/v1/attributions", json={"queries": [{"text": "x" * 9_000_000}]})
    assert answer.status_code == 422, answer.text
    assert "has 9,000,000 bytes of text" in answer.json()["detail"]
