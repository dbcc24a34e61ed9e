"""One Ray for all end-to-end tests of a session, and one finished project to read from."""

from pathlib import Path

import pytest

from tests.projects import write_project
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
def finished(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Project:  # noqa: ARG001
    """A small project, run to the end for one period, with tracking."""
    project = load_project(write_project(tmp_path_factory.mktemp("press"), tracking={"enabled": True}))
    run(project, PERIOD, JsonReporter())
    return project


@pytest.fixture(scope="session")
def finished_folder(finished: Project) -> Path:
    return finished.workdir.parent
