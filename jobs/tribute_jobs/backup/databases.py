"""SQLite databases of the working folder: MLflow's records, and what the service keeps."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from tribute.config import Project
from tribute.tracking.places import DATABASE, read_only
from tribute_jobs.backup.items import Collected, file_item
from tribute_jobs.backup.places import Places

SERVED = "service"
"""Folder of what the service keeps: keys and accesses, uses that are not in the lake yet, reports."""
TRACKED_REMEDY = "Without a copy, move it away: MLflow makes another"
SERVED_REMEDY = "Stop the service, and put the file back from an earlier backup"


def service_databases(project: Project, places: Places, scratch: Path) -> Collected:
    """Copies of the service's databases, to be taken before the moment of the lake.

    A use moves from the service's outbox to the lake. So a copy of the outbox that is older than the lake holds
    every use that the lake lacks; a use that both hold is known by its id.
    """
    found = Collected([], [])
    for database in sorted((project.workdir / SERVED).glob("*.sqlite")):
        _add(found, database, f"{SERVED}/{database.name}", places, scratch, SERVED_REMEDY)
    return found


def tracking_database(project: Project, places: Places, scratch: Path) -> Collected:
    """A copy of MLflow's store, if it is in the working folder."""
    found = Collected([], [])
    if (project.workdir / DATABASE).is_file():
        _add(found, project.workdir / DATABASE, DATABASE, places, scratch, TRACKED_REMEDY)
    return found


def _add(found: Collected, database: Path, name: str, places: Places, scratch: Path, remedy: str) -> None:
    copy = scratch / name
    copy.parent.mkdir(exist_ok=True)
    problem = _copy(database, copy)
    if problem is not None:
        found.problems.append(f"{database} is no whole SQLite database: {problem}. {remedy}")
    if copy.is_file():
        copy.chmod(stat.S_IMODE(database.stat().st_mode))  # keys and texts stay readable by their owner only
        found.items.append(file_item(f"{places.workdir}/{name}", copy))


def _copy(database: Path, copy: Path) -> str | None:
    """Copy a database as a whole, whoever writes to it meanwhile; what is wrong with it, or None."""
    try:
        with closing(read_only(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            [(found,), *_] = target.execute("pragma quick_check")
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found)
