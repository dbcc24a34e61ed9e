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
    last, lake = LastRun(project.workdir), Path(project.lake_root)
    _require_mounted(path.absolute(), project.workdir, bool(last.stages))
    if "://" not in project.lake_root and not (lake.is_dir() and any(lake.iterdir())):
        last.require_none(project.lake_root)
    return project


def _require_mounted(path: Path, workdir: Path, used: bool) -> None:
    """Refuse a working folder whose disk is not mounted, which looks like that of a new project.

    A hidden file beside project.yaml remembers the folder that was in use on another disk than that file.
    """
    mark = path.with_name(f".{path.name}.workdir")
    remembered = mark.read_text() if mark.exists() else ""
    if used:
        if workdir.stat().st_dev != path.stat().st_dev and remembered != str(workdir):
            with suppress(OSError):  # a folder that can only be read
                mark.write_text(str(workdir))
    elif remembered == str(workdir) and not (workdir.is_dir() and any(workdir.iterdir())):
        raise MachineError(
            f"The working folder {workdir} is empty or not there, though stages ran in it, on a disk of its own. "
            f"Mount that disk, {AGAIN}. To begin anew, delete {mark}"
        )
