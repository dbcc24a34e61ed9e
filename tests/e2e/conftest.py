"""One Ray for all end-to-end tests of a process, and one finished project to read from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.closing import prepare
from tests.e2e.dying import Dying
from tests.projects import RETRAINED, write_project
from tests.shared import made_once
from tribute.cluster import ray_session
from tribute.config import ClusterSettings, Project, load_project
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter

PERIOD = "2026-10"


@pytest.fixture(scope="session")
def ray_cluster():
    with ray_session(ClusterSettings(workers=2)):
        yield


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:  # noqa: ARG001
    """A small project, run to the end for one period, with tracking; made once for all tests of a run."""

    def finish(folder: Path) -> None:
        path = write_project(folder, valuation=RETRAINED, tracking={"enabled": True}, cluster={"workers": 2})
        run(load_project(path), PERIOD, JsonReporter())

    return made_once(tmp_path_factory, "press", finish)


@pytest.fixture(scope="session")
def finished(finished_folder: Path) -> Project:
    return load_project(finished_folder / "project.yaml")


@pytest.fixture(scope="session")
def settled_folder(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:  # noqa: ARG001
    """October and November of a project with agreements and two currencies, settled; made once for all tests."""
    return made_once(tmp_path_factory, "settled", prepare)


@pytest.fixture(scope="session")
def dying() -> Iterator[Dying]:
    """Commands that kill themselves at a point."""
    forking = Dying()
    yield forking
    forking.close()
