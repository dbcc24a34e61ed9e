"""A service over a finished project: October is closed, November is a draft, with euros and yen."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.e2e.closing import FIRST, SECOND, copied, work
from tests.served import served
from tribute.config import Project, ServingSettings, load_project
from tribute.serving import ServiceEngine, Writer
from tribute_jobs.service.access.access import Access, open_access
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.context import Service
from tribute_jobs.service.web import web

HERE = "http://127.0.0.1:8000"
PUBLISHERS = ("arena", "kitchen", "planet")
USE = {"query_id": "live-1", "text": "The minister raised the budget. Rain fell.", "customer_id": "reader"}
"""A use that the running service recorded, with its text."""


class Shown(NamedTuple):
    """A service, its project, and everybody's keys. `address`: None if it has no engine and no socket."""

    project: Project
    access: Access
    keys: dict[str, str]
    address: str | None = None
    closing_waits_s: float = 10.0

    @property
    def operator(self) -> str:
        """The operator's key."""
        return self.keys["operator"]

    def app(self) -> FastAPI:
        """The application without a model: its routes, and pages that need none. An own one has outboxes."""
        nobody: Any = None
        shards = range(self.project.serving.writers if self.address is None else 0)
        engine = ServiceEngine(self.project, nobody, [Writer(self.project, shard) for shard in shards], nobody)
        return web(Service(self.project, engine, self.access, closing_waits_s=self.closing_waits_s))

    def client(self, key: str | None = None) -> httpx.Client:
        """A client that shows a key; None: it has none, and may sign in."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if self.address is not None:
            return httpx.Client(base_url=self.address, headers=headers, timeout=120)
        return TestClient(self.app(), HERE, headers=headers, client=("127.0.0.1", 50000), follow_redirects=False)


def with_keys(project: Project, address: str | None = None) -> Shown:
    """A service of a project, with keys."""
    access = open_access(project)
    keys = {name: access.keys.create(name, Role.PUBLISHER, name)[1] for name in PUBLISHERS}
    keys |= {role: access.keys.create(role, Role(role))[1] for role in ("operator", "ingest")}
    return Shown(project, access, keys, address)


@pytest.fixture(scope="session")
def closed_project(settled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """October is closed, then November settled on the accounts that it left."""
    before = load_project(settled_folder / "project.yaml")
    project = copied(before, tmp_path_factory.mktemp("service") / "closed")
    work(project, FIRST, "close")
    work(project, SECOND)
    return project


@pytest.fixture(scope="session")
def service(closed_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The whole service on a socket of this machine. It has recorded a use of another month, which waits."""
    project = copied(closed_project, tmp_path_factory.mktemp("service") / "served")
    project = project.model_copy(update={"serving": ServingSettings(keep_content_days=1.0, flush_every_s=3600.0)})
    shown = with_keys(project)
    with served(project) as address:
        running = shown._replace(address=address)
        asked = {"queries": [USE | {"time": "2026-08-03T12:00:00+00:00"}]}
        answer = running.client(shown.keys["ingest"]).post("/v1/attributions", json=asked)
        assert answer.status_code == 200, answer.text
        yield running


@pytest.fixture
def fresh(closed_project: Project, tmp_path: Path) -> Callable[[], Shown]:
    """A service of a copy of the project, for a test that changes it."""
    return lambda: with_keys(copied(closed_project, tmp_path / "copy"))
