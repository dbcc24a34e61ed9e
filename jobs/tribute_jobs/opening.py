"""The project that a command is about."""

from contextlib import suppress
from pathlib import Path

from tribute.config import Project, load_project
from tribute.errors import AGAIN, MachineError
from tribute_jobs.last_run import LastRun


def open_project(path: Path) -> Project:
    """The project of a project.yaml.

    Raises:
        ConfigError: see `tribute.config.load_project`.
        LakeDamaged: its lake's folder is gone or empty, though stages ran.
        MachineError: its working folder is gone or empty, though stages ran in it, on a disk of its own.
    """
    project = load_project(path)
    _require_mounted(path.absolute(), project.workdir)
    lake = Path(project.lake_root)
    if "://" not in project.lake_root and not (lake.is_dir() and any(lake.iterdir())):
        LastRun(project.workdir).require_none(project.lake_root)
    return project


def _require_mounted(path: Path, workdir: Path) -> None:
    """Refuse a working folder whose disk is not mounted, which looks like that of a new project.

    A hidden file beside project.yaml remembers that the folder was in use on another disk than that file.
    """
    mark = path.with_name(f".{path.name}.workdir")
    if LastRun(workdir).stages:
        if workdir.stat().st_dev != path.stat().st_dev and not mark.exists():
            with suppress(OSError):  # a folder that can only be read
                mark.write_text(str(workdir))
    elif not (workdir.is_dir() and any(workdir.iterdir())) and mark.exists() and mark.read_text() == str(workdir):
        raise MachineError(
            f"The working folder {workdir} is empty or not there, though stages ran in it, on a disk of its own. "
            f"Mount that disk, {AGAIN}. To begin anew, delete {mark}"
        )
