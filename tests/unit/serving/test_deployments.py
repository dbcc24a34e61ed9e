"""The shapes of the application, and the bounds of what waits in each part of it."""

from pathlib import Path

import pytest
from ray.serve import Deployment

from tests.projects import write_project
from tribute.config import Project, ServingSettings, load_project
from tribute.errors import ConfigError
from tribute.serving.deployments import application


def web(_: object) -> object:
    """The application is only described here."""
    raise AssertionError


def deployments(project: Project, **settings: int) -> dict[str, Deployment]:
    """Every deployment of the application, by name."""
    served = project.model_copy(update={"serving": ServingSettings(**settings)})
    open_, found = [application([served], web)], dict[str, Deployment]()
    while open_:
        bound = open_.pop()._bound_deployment
        found[bound.name] = bound
        for argument in bound.init_args:
            parts = argument if isinstance(argument, list) else [argument]
            open_ += [part for part in parts if hasattr(part, "_bound_deployment")]
    return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(write_project(tmp_path))


def test_a_small_service_is_one_process_beside_the_reporter(project: Project) -> None:
    assert {*deployments(project)} == {"Service", "Reporter"}


def test_more_replicas_or_writers_put_each_part_into_processes_of_its_own(project: Project) -> None:
    assert {*deployments(project, max_replicas=2)} == {"Web", "Attributor", "Writer0", "Reporter"}
    assert {*deployments(project, writers=2)} == {"Web", "Attributor", "Writer0", "Writer1", "Reporter"}


@pytest.mark.parametrize("settings", [{}, {"max_replicas": 2}])
def test_nothing_waits_without_a_bound(project: Project, settings: dict[str, int]) -> None:
    """Serve lets any number of requests wait by default (-1)."""
    found = deployments(project, max_waiting=32, **settings)
    for name in {"Service", "Web", "Attributor"} & {*found}:
        assert 0 < found[name].max_queued_requests <= 8 * 32, name
        assert 0 < found[name].max_ongoing_requests <= 8 * 32, name


def test_projects_need_names_of_their_own(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"Two of the projects have one name"):
        application([project, project], web)
