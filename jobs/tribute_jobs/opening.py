"""The project that a command is about."""

from pathlib import Path

from tribute.config import Project, load_project
from tribute_jobs.last_run import LastRun


def open_project(path: Path) -> Project:
    """The project of a project.yaml.

    Raises:
        ConfigError: see `tribute.config.load_project`.
        LakeDamaged: its lake's folder is gone or empty, though stages ran.
    """
    project = load_project(path)
    lake = Path(project.lake_root)
    if "://" not in project.lake_root and not (lake.is_dir() and any(lake.iterdir())):
        LastRun(project.workdir).require_none(project.lake_root)
    return project
