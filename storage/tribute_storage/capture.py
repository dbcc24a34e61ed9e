"""What a version of a table consists of, file by file, for copying: its log up to there, and what that names."""

import json
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tribute_storage.errors import LakeDamaged
from tribute_storage.integrity.commits import FOLDER, damaged_log, entries
from tribute_storage.integrity.files import misfits
from tribute_storage.lake import Lake
from tribute_storage.log import TableLog, files_of
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
        LakeDamaged: files of the version, or of the log, are missing, cut or unreadable; lists all of them.
    """
    needed = files_of(TableLog(lake.location, table).snapshot(version))
    there = {file.name: file.size for file in lake.location.files(table)}
    found = [*damaged_log(lake.location, table), *misfits(lake.location, table, needed)]
    if found:
        raise LakeDamaged.of(lake.root, found)
    logs = _log(lake, table, version, there)
    named = _named_files(lake, table, logs) & there.keys() | needed.keys()
    return [_file(table, name, there[name]) for name in (*sorted(named), *logs)]


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


def _log(lake: Lake, table: str, version: int, there: Collection[str]) -> list[str]:
    """Files of the log up to a version."""
    commits = [name for name in sorted(there) if (found := COMMIT.fullmatch(name)) and int(found[1]) <= version]
    checkpoints = {name: int(found[1]) for name in sorted(there) if (found := CHECKPOINT.fullmatch(name))}
    names = commits + [name for name, number in checkpoints.items() if number <= version]
    newest = _last_checkpoint(lake, table) if LAST_CHECKPOINT in there else None
    return names if newest is None or newest > version else [*names, LAST_CHECKPOINT]


def _last_checkpoint(lake: Lake, table: str) -> int | None:
    """The version of the checkpoint that readers start from; None: they look for it."""
    try:
        version = json.loads(lake.location.read(f"{table}/{LAST_CHECKPOINT}"))["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, int) else None


def _named_files(lake: Lake, table: str, logs: Collection[str]) -> set[str]:
    """Files that commits of the log added or removed."""
    commits = [entries(lake.location.read(f"{table}/{name}")) for name in logs if COMMIT.fullmatch(name)]
    return {
        entry[key]["path"] for commit in commits for entry in commit for key in ("add", "remove") if key in entry
    }


def _file(table: str, name: str, size: int) -> LakeFile:
    found = ROWS.fullmatch(name)
    return LakeFile(f"{table}/{name}", size, found[1] if found else "")
