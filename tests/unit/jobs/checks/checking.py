"""A small project to spoil, and its subject for a single check."""

from pathlib import Path

import yaml

from tests.projects import settings, write_project
from tribute.config import Project, load_project
from tribute_jobs.checks.subject import Subject
from tribute_jobs.context import Inputs

MONTH = "2026-10"


def spoiled(folder: Path, files: dict[str, str] | None = None, **sections: object) -> Project:
    """The project with other files and sections."""
    write_project(folder)
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    content = settings(**sections)
    if "pools" in content:
        del content["pool"]
    (folder / "project.yaml").write_text(yaml.safe_dump(content))
    return load_project(folder / "project.yaml")


def subject(project: Project, month: str | None = MONTH, last: str = "settle") -> Subject:
    return Subject(Inputs(project), month, last, again=False)
