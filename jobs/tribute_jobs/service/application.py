"""The service of a project: its web application on the engine, in this process or on Ray Serve."""

from pathlib import Path
from typing import TYPE_CHECKING

from ray.serve import Application

from tribute.config import Project
from tribute.serving import ServiceEngine, application, serve_forever
from tribute_jobs.checks.project import require_sound_lake
from tribute_jobs.opening import open_project
from tribute_jobs.service.access.access import open_access
from tribute_jobs.service.access.local import require_safe_binding

if TYPE_CHECKING:
    from fastapi import FastAPI


def build(arguments: dict[str, str]) -> Application:
    """The application for `serve run` and `serve deploy`; arguments: {"project": "path/to/project.yaml"}."""
    project = open_project(Path(arguments["project"]))
    require_sound_lake(project)
    return application(project, web_of)


def web_of(project: Project, engine: ServiceEngine) -> "FastAPI":
    """The web application of a project."""
    # Only where it runs: routes that are defined beside Ray Serve keep DuckDB's types, which it reports at exit.
    from tribute_jobs.service.context import Service  # noqa: PLC0415
    from tribute_jobs.service.web import web  # noqa: PLC0415

    return web(Service(project, engine, open_access(project)))


def serve_project(project: Project) -> None:
    """Serve until interrupted.

    Raises:
        ConfigError: other machines would reach the service, and there is no key.
        TributeError: the project cannot be served as it stands, or Ray does not start.
        LakeError: its lake cannot be read.
    """
    require_sound_lake(project)
    require_safe_binding(project.serving.host, open_access(project).keys)
    serve_forever(project, web_of)
