"""The service of one or more projects: their web applications on their engines, on Ray Serve."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ray.serve import Application

from tribute.config import Project
from tribute.serving import ServiceEngine, application, serve_forever
from tribute_jobs.checks.project import require_sound_lake
from tribute_jobs.opening import open_project
from tribute_jobs.printing import copyable
from tribute_jobs.service.access.access import open_access
from tribute_jobs.service.access.local import require_safe_binding
from tribute_jobs.service.access.printing import NO_KEY

if TYPE_CHECKING:
    from fastapi import FastAPI


def build(arguments: dict[str, str | list[str]]) -> Application:
    """The application for `serve run` and `serve deploy`.

    Args:
        arguments: {"project": "path/to/project.yaml"}, or a list of paths.
    """
    named = arguments["project"]
    projects = [open_project(Path(each)) for each in ([named] if isinstance(named, str) else named)]
    for project in projects:
        require_sound_lake(project)
    return application(projects, web_of)


def web_of(engines: Sequence[ServiceEngine]) -> "FastAPI":
    """The web application: of the first project at the root, and of every one under /models/NAME."""
    # Only where it runs: routes that are defined beside Ray Serve keep DuckDB's types, which it reports at exit.
    from tribute_jobs.service.context import Service  # noqa: PLC0415
    from tribute_jobs.service.web import web  # noqa: PLC0415

    first, *others = engines
    root = web(Service(first.project, first, open_access(first.project), tuple(others)))
    for each in others:
        root.mount(f"/models/{each.project.name}", web(Service(each.project, each, open_access(each.project))))
    return root


def serve_projects(projects: Sequence[Project]) -> None:
    """Serve until interrupted.

    Raises:
        ConfigError: other machines would reach the service, and there is no key.
        TributeError: a project cannot be served as it stands, or Ray does not start.
        LakeError: its lake cannot be read.
    """
    for project in projects:
        require_sound_lake(project)
        keys = open_access(project).keys
        require_safe_binding(projects[0].serving.host, keys)
        if keys.never_made():
            print(copyable(NO_KEY), flush=True)
    serve_forever(projects, web_of)
