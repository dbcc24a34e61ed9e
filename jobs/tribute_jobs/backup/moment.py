"""What a project has made, as it stood together at one moment, while a run may be at work."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tribute.config import Project
from tribute.errors import BusyError, MachineError
from tribute_storage import Lake
from tribute_storage.upkeep.capture import table_versions

MADE = ("artifacts", "statements")
"""Folders of the working folder whose files are written once; each is complete, or not there."""
TRACKED = "mlflow"
IN_PROGRESS = (".steps", ".stack.safetensors", ".stack.safetensors.sha256")
"""Names of files that change while a job is at work end like this. A job that resumes needs none of them."""
FED = "usage_events"
"""The table that others append to at any time. It refers to nothing; others refer to it, and are read before."""


class Moment(NamedTuple):
    """Versions of tables, and size and time of change of files by their path below the working folder."""

    versions: Mapping[str, int]
    files: Mapping[str, tuple[int, int]]


def moment(project: Project, lake: Lake, patience_s: float = 60.0) -> Moment:
    """Table versions and files of one moment.

    Versions only grow, and files are written once. So what is read twice alike stood together in between: it is
    what a run that was killed then would have left.

    Args:
        patience_s: how long to wait for two readings alike.

    Raises:
        BusyError: commits and files kept coming.
    """
    deadline, wait = time.monotonic() + patience_s, 0.01
    before = _reading(project, lake)
    while (now := _reading(project, lake)) != before:
        if time.monotonic() > deadline:
            raise BusyError(
                f"The tables and files of {project.workdir} kept changing for {patience_s:.0f} s. Run the same "
                "command again when less is at work"
            )
        before = now
        time.sleep(wait)
        wait = min(2 * wait, 1.0)
    fed = lake.version(FED)
    return now if fed is None else now._replace(versions={**now.versions, FED: fed})


def files_below(folder: Path) -> Iterator[Path]:
    """The files below a folder, without unfinished ones, whose names begin with a dot. Links are followed.

    Raises:
        MachineError: a folder cannot be read.
    """
    for place, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise MachineError(
            f"{error.filename} cannot be read: {error.strerror}. Mend that, and run the same command again"
        ) from error


def _reading(project: Project, lake: Lake) -> Moment:
    versions = {table: version for table, version in table_versions(lake).items() if table != FED}
    made = (path for name in MADE for path in files_below(project.workdir / name))
    paths = [path for path in made if not path.name.endswith(IN_PROGRESS)]
    found = {}
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:  # replaced by the next version of a statement
            continue
        found[path.relative_to(project.workdir).as_posix()] = (status.st_size, status.st_mtime_ns)
    return Moment(versions, found)
