"""Tables of the lake: damage, files of a newer version, orphans, the clock of its commits."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tribute_jobs.doctor.fault import Fault, Repair
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_storage import SCHEMAS, LakeError, LakeUnavailable, clear_orphans, damage, orphans
from tribute_storage.upkeep.maintenance import newer_files, newest_commit

UPDATE = "Install the release of tribute that wrote it, or a later one: pip install --upgrade tribute"
CLEAR = "Harmless to readers, but it takes room. Delete it: tribute doctor PROJECT.yaml --repair"
LOGLESS = (
    "It is no empty table. Restore its folder _delta_log from a backup; or delete the folder if no run ever ended"
)
CLOCK = "Correct this machine's clock: commits and months are told apart by time"
AHEAD_S = 120
"""How far clocks may differ, seconds."""


def examine_lake(examined: ExaminedProject) -> Iterator[Fault]:
    """Damage, what a newer release wrote, and orphans, table by table."""
    lake = examined.lake
    if not lake.location.remote:
        folders = sorted(each for each in Path(lake.root).glob("*") if (each / "_delta_log").is_dir())
        for folder in (each for each in folders if each.name not in SCHEMAS):
            yield Fault(f"{folder} is a table that this version does not know", UPDATE)
    for table in SCHEMAS:
        try:
            yield from _of_table(examined, table)
        except LakeUnavailable:
            raise  # the same for all tables
        except LakeError as error:
            yield Fault(str(error), "")


def _of_table(examined: ExaminedProject, table: str) -> Iterator[Fault]:
    lake = examined.lake
    found = damage(lake, table)
    yield from (Fault(f"{lake.location.path(each.file)} {each.what}", each.remedy) for each in found)
    if found:
        return  # what no version names may be rows of the table
    for path in newer_files(lake, table):
        yield Fault(f"{path} was written by a newer version of tribute", UPDATE)
    if lake.version(table) is None:
        if count := len(lake.location.files(table)):
            yield Fault(f"{lake.location.path(table)} holds {count:,} files and no log", LOGLESS)
        return
    clear = partial(clear_orphans, lake, examined.age, table)
    for path in orphans(lake, examined.age, table):
        step = Repair(f"delete {path}, which no version of its table names", clear)
        yield Fault(f"{path} is named by no version of its table: an interrupted run left it", CLEAR, False, step)


def examine_clock(examined: ExaminedProject) -> Iterator[Fault]:
    """Commits and files of the future: the clock went back since, or was wrong then."""
    now = time.time()
    commit = newest_commit(examined.lake)
    if commit is not None and commit > (now + AHEAD_S) * 1000:
        what = f"the newest commit of {examined.lake.root} is of {_moment(commit / 1000)}, in the future"
        yield Fault(what, CLOCK)
    if now < datetime(2025, 1, 1, tzinfo=UTC).timestamp():
        yield Fault(f"this machine's clock says {_moment(now)}", CLOCK)
    folders = (examined.project.artifacts, examined.project.workdir / "statements")
    ahead = [path for folder in folders for path in folder.rglob("*") if path.lstat().st_mtime > now + AHEAD_S]
    if ahead:
        text = f"{len(ahead):,} files, such as {min(ahead)}, changed in the future by this machine's clock"
        yield Fault(text, CLOCK, grave=False)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
