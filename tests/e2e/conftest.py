"""One Ray for all end-to-end tests of a process, and one finished project to read from."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.closing import prepare
from tests.e2e.dying import Dying
from tests.e2e.modes import PERIOD, Finished, valued
from tests.projects import RETRAINED, settings, write_project
from tests.shared import made_once
from tribute.cluster import ray_session
from tribute.config import ClusterSettings, Project, load_project
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter


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


@pytest.fixture
def vary(finished_folder: Path, tmp_path: Path) -> Callable[..., Finished]:
    """The finished project under other settings: its corpus and training are kept, as the settings allow."""

    def varied(**sections: object) -> Finished:
        folder = tmp_path / "press"
        shutil.copytree(finished_folder, folder, dirs_exist_ok=True)
        (folder / "project.yaml").write_text(yaml.safe_dump(settings(**sections)))
        return valued(folder / "project.yaml")

    return varied
