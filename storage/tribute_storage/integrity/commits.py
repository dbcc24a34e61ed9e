"""The files of a table's log, looked at one by one: which of them is missing, empty, cut or unreadable."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tribute_storage.errors import Damage
from tribute_storage.integrity.remedies import REGISTER, remedy
from tribute_storage.location import FileInfo, Location
from tribute_storage.refusals import said

FOLDER = "_delta_log"
COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d+\.\d+)?\.parquet")
LAST_CHECKPOINT = "_last_checkpoint"
OURS = {"WRITE", "CREATE TABLE"}
"""Operations of the lake's own commits of rows, which end with the run that they are of."""

NEEDED = (("commitInfo", "timestamp"), ("add", "path"), ("add", "size"), ("remove", "path"), ("txn", "appId"))


def damaged_log(location: Location, table: str) -> list[Damage]:
    """Every damaged file of a table's log; raises OSError."""
    folder = f"{table}/{FOLDER}"
    files = {each.name: each for each in location.files(folder)}
    commits = {int(name[:20]): each for name, each in files.items() if COMMIT.fullmatch(name)}
    whole = {number: each for number, each in commits.items() if each.size}
    found = [*_gaps(table, files, commits)]
    for number, each in sorted(commits.items()):
        what = "has 0 bytes" if number not in whole else commit_problem(location.read(f"{folder}/{each.name}"))
        if what:
            newest = number == max(commits)
            found.append(Damage(table, f"{folder}/{each.name}", what, _remedy(table, newest)))
    complete = not found and set(commits) == set(range(len(commits)))
    return [*found, *_checkpoints(location, table, files, complete)]


def empty_commits(location: Location, table: str) -> list[Damage]:
    """Commits of no bytes, which Delta would pass over in silence; an object store never holds one."""
    folder = f"{table}/{FOLDER}"
    if location.remote:
        return []
    with os.scandir(location.path(folder)) as found:
        names = [each.name for each in found if each.name.endswith(".json") and not each.stat().st_size]
    return damaged_log(location, table) if names else []


def entries(content: bytes) -> list[dict[str, Any]]:
    """The actions of a commit; raises ValueError."""
    found = [json.loads(line) for line in content.splitlines() if line.strip()]
    if not all(isinstance(each, dict) for each in found):
        raise ValueError("it holds something that is no action")
    for kind, name in NEEDED:
        if any(kind in each and name not in (each[kind] or {}) for each in found):
            raise ValueError(f"its action {kind} has no {name}")
    return found


def commit_problem(content: bytes) -> str | None:
    """What is wrong with a commit, or None. One that is cut between two lines lacks its last action, the run."""
    try:
        found = entries(content)
    except ValueError as error:
        return f"cannot be read: {said(error)}"
    operation = next((each["commitInfo"].get("operation") for each in found if "commitInfo" in each), None)
    if operation is None or (operation in OURS and not any("txn" in each for each in found)):
        return "is cut: actions at its end are missing"
    return None


def last_checkpoint(location: Location, table: str) -> int | None:
    """The version of the checkpoint that readers start from; None where Delta looks for it itself."""
    try:
        return int(json.loads(location.read(f"{table}/{FOLDER}/{LAST_CHECKPOINT}"))["version"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _gaps(table: str, files: Mapping[str, FileInfo], commits: Mapping[int, FileInfo]) -> Iterator[Damage]:
    known = sorted(commits)
    checkpointed = [int(name[:20]) for name in files if name.endswith(".parquet") and name[:20].isdecimal()]
    first = 0 if not checkpointed else min([*checkpointed, *known])
    for before, after in pairwise([first - 1, *known]):
        for number in range(before + 1, after):
            yield Damage(table, f"{table}/{FOLDER}/{number:020}.json", "is missing", _remedy(table, False))


def _checkpoints(
    location: Location, table: str, files: Mapping[str, FileInfo], complete: bool
) -> Iterator[Damage]:
    """Checkpoints hold what the commits say, so they may go where the commits are complete."""
    mended = f"Delete it and {FOLDER}/{LAST_CHECKPOINT}: the commits hold the same." if complete else remedy(table)
    for name in sorted(files):
        if name.endswith(".checkpoint.parquet"):
            try:
                pq.read_table(pa.BufferReader(location.read(f"{table}/{FOLDER}/{name}")))
            except (pa.ArrowException, OSError) as error:
                yield Damage(table, f"{table}/{FOLDER}/{name}", f"cannot be read: {said(error)}", mended)
    named = last_checkpoint(location, table)
    if named is not None and not any(name.startswith(f"{named:020}.checkpoint") for name in files):
        mended = f"Delete {FOLDER}/{LAST_CHECKPOINT}: the commits hold the same." if complete else remedy(table)
        what = f"names the checkpoint of version {named}, which is missing"
        yield Damage(table, f"{table}/{FOLDER}/{LAST_CHECKPOINT}", what, mended)


def _remedy(table: str, newest: bool) -> str:
    if not newest:
        return remedy(table)
    return (
        f"Restore it from a backup. Without one, as after a power cut, delete it and {REGISTER}/{table}, then run "
        "the last command again."
    )
