"""A service over a finished project: October is closed, November is a draft, with euros and yen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.testclient import TestClient

from tests.e2e.closing import FIRST, SECOND, copied, work
from tribute.config import Project, load_project
from tribute_jobs.service.access.access import Access, open_access
from tribute_jobs.service.access.caller import Role
from tribute_jobs.service.context import Service
from tribute_jobs.service.web import web

HERE = "http://127.0.0.1:8000"
PUBLISHERS = ("arena", "kitchen", "planet")


class Shown(NamedTuple):
    """A service in this process, its project, and a key for each who may ask."""

    project: Project
    access: Access
    operator: str
    publishers: dict[str, str]

    def client(self, key: str | None = None) -> TestClient:
        """A client that shows a key; None: it has none, and may sign in."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        engine: Any = None  # no page of these needs one
        app = web(Service(self.project, engine, self.access))
        return TestClient(
            app,
            HERE,
            headers=headers,
            client=("127.0.0.1", 50000),
            follow_redirects=False,
            raise_server_exceptions=False,
        )


def shown(project: Project) -> Shown:
    """A service of a project, with keys."""
    access = open_access(project)
    publishers = {name: access.keys.create(name, Role.PUBLISHER, name)[1] for name in PUBLISHERS}
    return Shown(project, access, access.keys.create("finance", Role.OPERATOR)[1], publishers)


@pytest.fixture(scope="session")
def closed_project(settled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """October is closed, then November settled on the accounts that it left."""
    before = load_project(settled_folder / "project.yaml")
    project = copied(before, tmp_path_factory.mktemp("service") / "closed")
    work(project, FIRST, "close")
    work(project, SECOND)
    return project


@pytest.fixture(scope="session")
def service(closed_project: Project) -> Shown:
    """A service that no test changes."""
    return shown(closed_project)


@pytest.fixture
def fresh(closed_project: Project, tmp_path: Path) -> Callable[[], Shown]:
    """A service of a copy of the project, for a test that changes it."""
    return lambda: shown(copied(closed_project, tmp_path / "copy"))
