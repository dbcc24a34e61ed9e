"""A full disk under the outbox: the service says so, forgets nothing, and goes on when there is room."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import httpx
import pytest
from httpx import ASGITransport
from ray import serve

from tests.chaos.ray_cluster import free_port
from tests.faults import fill, may_mount, small_disk
from tests.projects import article
from tribute.config import Project, ServingSettings, load_project
from tribute.serving import local_engine, start
from tribute_jobs.service.application import web_of
from tribute_jobs.service.readiness import FRESH_S
from tribute_storage import Lake

pytestmark = pytest.mark.skipif(not may_mount(), reason="needs the right to mount")
ROOM = 300_000
"""Bytes that are left at first: some requests fit."""
BATCH, MOST = 20, 60


@pytest.fixture
def cramped(finished: Project, tmp_path: Path) -> Iterator[tuple[Project, Path]]:
    """A copy of the finished project whose outbox has a small disk of its own, and that disk."""
    shutil.copytree(finished.workdir.parent, tmp_path / "press")
    project = load_project(tmp_path / "press" / "project.yaml")
    disk = project.workdir / "service"
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir()
    with ExitStack() as mounted:
        mounted.enter_context(small_disk(disk))
        yield project, disk


def request(number: int) -> dict:
    """A request of some uses with ids of their own."""
    text = article("daily", number, 2)
    return {"queries": [{"query_id": f"{number}/{part}", "text": f"{text} {part}"} for part in range(BATCH)]}


async def fill_and_empty(client: httpx.AsyncClient, disk: Path) -> set[str]:
    """Ask until the disk is full, make room, and ask again; ids of all acknowledged uses."""

    async def post(body: dict) -> httpx.Response:
        return await client.post("/v1/attributions", json=body)

    assert (await client.get("/readyz")).status_code == 200
    assert (await post(request(0))).status_code == 200
    acknowledged, ballast = set(ids(0)), fill(disk, ROOM)
    for number in range(1, MOST):
        answer = await post(request(number))
        if answer.status_code != 200:
            break
        acknowledged |= {*ids(number)}
    assert answer.status_code == 503, answer.text
    assert "Retry-After" in answer.headers
    assert "Make room on its disk" in answer.json()["detail"]
    assert (await post(request(0))).json().get("recorded", 0) == 0  # known, or refused: never counted anew
    fill(disk)  # the rest too
    await asyncio.sleep(FRESH_S)
    unready = await client.get("/readyz")
    assert unready.status_code == 503, unready.text
    assert "outbox: The outbox" in unready.json()["missing"][0]
    ballast.unlink()
    await asyncio.sleep(FRESH_S)
    assert (await client.get("/readyz")).status_code == 200
    for later in (number, MOST):
        answer = await post(request(later))
        assert (answer.status_code, answer.json()["recorded"]) == (200, BATCH)
        acknowledged |= {*ids(later)}
    return acknowledged


def ids(number: int) -> list[str]:
    """The ids of a request."""
    return [query["query_id"] for query in request(number)["queries"]]


def recorded(project: Project) -> Counter[str]:
    """How often every live use is in the lake's files."""
    files = Lake(project.lake_root).files("queries")
    with duckdb.connect() as connection:
        sql = f"select query_id, count(*) from read_parquet({files}) where query_id like '%/%' group by 1"
        return Counter(dict(connection.execute(sql).fetchall()))


def test_a_full_disk_is_a_503_and_loses_nothing(cramped: tuple[Project, Path]) -> None:
    project, disk = cramped

    async def serve_here() -> set[str]:
        async with local_engine(project) as engine:
            transport = ASGITransport(web_of([engine]), client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await fill_and_empty(client, disk)

    acknowledged = asyncio.run(serve_here())
    assert recorded(project) == Counter(acknowledged)


@pytest.mark.slow
def test_a_full_disk_under_the_running_service_loses_nothing(cramped: tuple[Project, Path]) -> None:
    project, disk = cramped
    project = project.model_copy(update={"serving": ServingSettings(port=free_port(), flush_every_s=60.0)})
    base = start([project], web_of)

    async def ask() -> set[str]:
        async with httpx.AsyncClient(base_url=base, timeout=None) as client:
            return await fill_and_empty(client, disk)

    try:
        acknowledged = asyncio.run(ask())
    finally:
        serve.shutdown()
    assert recorded(project) == Counter(acknowledged)
