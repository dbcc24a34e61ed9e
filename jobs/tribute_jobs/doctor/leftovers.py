"""What interrupted commands leave in the working folder: temporary files, locks, caches."""

import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tribute.corpus.verbatim import INDEXES
from tribute.files.sealed import SUFFIX, sealed_by
from tribute_jobs.doctor.artifacts import needed
from tribute_jobs.doctor.fault import Fault, Repair
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_jobs.running import LOCK
from tribute_storage.atomic import TEMPORARY

DELETE = "Delete it: tribute doctor PROJECT.yaml --repair"
CACHES = ("last_run.json", "digests.json", "lake_digests.json", "backup_digests.json")
HELD = "Wait for it, or end that process; a lock that no process holds never stops a command"


def examine_leftovers(examined: ExaminedProject) -> Iterator[Fault]:
    """Temporary files of killed commands, digests without a file, unreadable caches; and who holds the lock."""
    workdir, lake = examined.project.workdir, Path(examined.lake.root)
    yield from _held(workdir / LOCK)
    for path in sorted(workdir.rglob("*")):
        if path.is_relative_to(lake) or not path.is_file():
            continue  # the lake's own are among its orphans
        if TEMPORARY.fullmatch(path.name) and examined.old(path):
            yield _left(path, "was being written when a command was stopped")
        elif path.name.endswith(SUFFIX) and not _needed(path) and examined.old(path):
            yield _left(path, "is the digest of a file that is not there")
    for building in sorted(workdir.rglob(".publishing")):
        if examined.old(building):
            step = Repair(f"delete the folder {building}", partial(shutil.rmtree, building))
            yield Fault(f"{building} is a publication that was interrupted", DELETE, grave=False, repair=step)
    for building in sorted((workdir / INDEXES).glob(".*")):
        if examined.old(building):
            step = Repair(f"delete the folder {building}", partial(shutil.rmtree, building))
            yield Fault(f"{building} is an index that was interrupted", DELETE, grave=False, repair=step)
    for path in (workdir / name for name in CACHES):
        if path.is_file() and not _readable(path):
            yield _left(path, "cannot be read. It is a cache, and the next run makes it again")


def _left(path: Path, what: str) -> Fault:
    step = Repair(f"delete {path}, which {what}", partial(path.unlink, missing_ok=True))
    return Fault(f"{path} {what}", DELETE, grave=False, repair=step)


def _needed(seal: Path) -> bool:
    """Whether a digest has its file, or tells that one is lost."""
    return sealed_by(seal).exists() or needed(sealed_by(seal))


def _readable(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError):
        return False


def _held(lock: Path) -> Iterator[Fault]:
    """The process that holds the working folder's lock, as Linux tells it."""
    table = Path("/proc/locks")
    if not lock.is_file() or not table.is_file():
        return
    inode = str(lock.stat().st_ino)
    for line in table.read_text().splitlines():
        _, kind, *_, pid, place, _, _ = line.split()
        if kind == "FLOCK" and place.rpartition(":")[2] == inode and int(pid) != os.getpid():
            yield Fault(f"process {pid} is at work in {lock.parent}", HELD, grave=False)
