"""What a version of a table consists of, file by file, for copying: its log up to there, and what that names."""

import json
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tribute_storage.errors import LakeDamaged
from tribute_storage.lake import Lake
from tribute_storage.log import FOLDER, TableLog, files_of
from tribute_storage.schemas import SCHEMAS

COMMIT = re.compile(rf"{FOLDER}/(\d{{20}})\.json")
CHECKPOINT = re.compile(rf"{FOLDER}/(\d{{20}})\.checkpoint(?:\.\d+\.\d+)?\.parquet")
LAST_CHECKPOINT = f"{FOLDER}/_last_checkpoint"
ROWS = re.compile(r"(?:v\d+-)?([0-9a-f]{16})-[0-9a-f]{16}\.parquet")
ARTIFACT = ["artifact_uri", "artifact_sha256"]


class LakeFile(NamedTuple):
    """A file of a table: its name below the lake's root, its bytes, and how its SHA-256 begins, if known."""

    name: str
    size: int
    sha256: str


def table_versions(lake: Lake) -> dict[str, int]:
    """The version of every table that has one."""
    found = {table: lake.version(table) for table in SCHEMAS}
    return {table: version for table, version in found.items() if version is not None}


def files_of_version(lake: Lake, table: str, version: int) -> list[LakeFile]:
    """A table's files in a version, those of older versions that are still there, and its log up to that version.

    Others may commit meanwhile.

    Raises:
        LakeDamaged: files of the version, or of its log, are missing or cut; names all of them.
    """
    needed = {name: file.size for name, file in files_of(TableLog(lake.location, table).snapshot(version)).items()}
    there = {file.name: file.size for file in lake.location.files(table)}
    logs, gaps = _log(lake, table, version, there)
    wrong = {name: "is missing" for name in (*gaps, *needed) if name not in there}
    for name, size in needed.items():
        if there.get(name, size) != size:
            wrong[name] = f"has {there[name]:,} bytes, {size:,} were committed"
    named, unreadable = _named_files(lake, table, logs)
    if wrong | unreadable:
        listed = "; ".join(f"{table}/{name} {text}" for name, text in (wrong | unreadable).items())
        raise LakeDamaged(
            f"Table {table} of {lake.root} is not whole in version {version}: {listed}. Put these files back from "
            "a backup."
        )
    return [_file(table, name, there[name]) for name in (*sorted(named & there.keys() | needed.keys()), *logs)]


def named_artifacts(lake: Lake, versions: Mapping[str, int]) -> dict[str, str]:
    """SHA-256 of every artifact that the tables name in these versions, by its path below the working folder.

    Raises:
        LakeError: a version's file was deleted.
        OSError, pyarrow.ArrowException: a file of the tables cannot be read.
    """
    found = dict[str, str]()
    for table, version in versions.items():
        if set(ARTIFACT) <= set(SCHEMAS[table].names):
            for path in lake.files(table, version):
                with lake.location.open(path.removeprefix(f"{lake.root}/")) as file:
                    rows: pa.Table = pq.read_table(file, columns=ARTIFACT)
                found |= {
                    row["artifact_uri"]: row["artifact_sha256"] for row in rows.to_pylist() if row["artifact_uri"]
                }
    return found


def _log(lake: Lake, table: str, version: int, there: Collection[str]) -> tuple[list[str], list[str]]:
    """Files of the log up to a version, and those that it lacks."""
    commits = {int(found[1]) for name in there if (found := COMMIT.fullmatch(name))}
    checkpoints = {name: int(found[1]) for name in there if (found := CHECKPOINT.fullmatch(name))}
    kept = {name: number for name, number in checkpoints.items() if number <= version}
    start = max(kept.values(), default=-1) + 1
    names = [_commit(number) for number in sorted(commits) if number <= version] + sorted(kept)
    if LAST_CHECKPOINT in there and _last_checkpoint(lake, table) in kept.values():
        names.append(LAST_CHECKPOINT)
    return names, [_commit(number) for number in range(start, version + 1) if number not in commits]


def _last_checkpoint(lake: Lake, table: str) -> int | None:
    """The version of the checkpoint that readers start from; None: they look for it."""
    try:
        version = json.loads(lake.location.read(f"{table}/{LAST_CHECKPOINT}"))["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, int) else None


def _named_files(lake: Lake, table: str, logs: Collection[str]) -> tuple[set[str], dict[str, str]]:
    """Files that commits of the log added or removed; and commits that are not as they were written."""
    named, wrong = set[str](), dict[str, str]()
    for name in filter(COMMIT.fullmatch, logs):
        try:
            entries = [json.loads(line) for line in lake.location.read(f"{table}/{name}").splitlines()]
            named |= {entry[key]["path"] for entry in entries for key in ("add", "remove") if key in entry}
        except (ValueError, KeyError, TypeError):
            wrong[name] = "is not a commit of Delta"
    return named, wrong


def _commit(number: int) -> str:
    return f"{FOLDER}/{number:020}.json"


def _file(table: str, name: str, size: int) -> LakeFile:
    found = ROWS.fullmatch(name)
    return LakeFile(f"{table}/{name}", size, found[1] if found else "")
