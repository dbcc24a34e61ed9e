"""What a version of a table consists of, file by file, for copying: its log up to there, and what that names."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tribute_storage.errors import LakeDamaged
from tribute_storage.integrity.commits import (
    CHECKPOINT,
    COMMIT,
    FOLDER,
    LAST_CHECKPOINT,
    damaged_log,
    last_checkpoint,
)
from tribute_storage.integrity.files import misfits
from tribute_storage.lake import Lake
from tribute_storage.log import TableLog, files_of
from tribute_storage.schemas import SCHEMAS
from tribute_storage.staging import NAME

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
    log = TableLog(lake.location, table)
    needed = files_of(log.snapshot(version))
    there = {file.name: file.size for file in lake.location.files(table)}
    found = [*damaged_log(lake.location, table), *misfits(lake.location, table, needed)]
    if found:
        raise LakeDamaged.of(lake.root, found)
    named = log.logged(version) & there.keys() | needed.keys()
    return [_file(table, name, there[name]) for name in (*sorted(named), *_log(lake, table, version, there))]


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
    below = sorted(name.removeprefix(f"{FOLDER}/") for name in there if name.startswith(f"{FOLDER}/"))
    numbers = {name: found[1] for name in below if (found := COMMIT.fullmatch(name) or CHECKPOINT.fullmatch(name))}
    kept = [name for name, number in numbers.items() if int(number) <= version]
    newest = last_checkpoint(lake.location, table)
    kept += [] if newest is None or newest > version else [LAST_CHECKPOINT]
    return [f"{FOLDER}/{name}" for name in kept]


def _file(table: str, name: str, size: int) -> LakeFile:
    found = NAME.fullmatch(name)
    return LakeFile(f"{table}/{name}", size, found[2] if found else "")
