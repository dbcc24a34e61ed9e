"""Upkeep of a lake: compaction, checkpoints, retention, and removal of files that killed workers left."""

import random
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from tribute_storage.integrity.commits import FOLDER
from tribute_storage.integrity.files import content_of, unreadable
from tribute_storage.integrity.opening import log_errors
from tribute_storage.lake import Lake
from tribute_storage.log import TableLog, files_of
from tribute_storage.refusals import fault
from tribute_storage.schemas import SCHEMAS, version_of
from tribute_storage.staging import NAME, StagedFile

PATIENCE_S = 120
"""Longest wait of a compaction for a moment between other commits."""

TARGET_ROWS = 2_000_000
"""Rows of a joined file, approximately. A compaction holds this many in memory."""

LOGGED = re.compile(rf"{FOLDER}/(?!.*#\d+$).*")
"""Files of the log; a name that ends in # and a number is one that deltalake had not finished."""


class Compacted(NamedTuple):
    """The number of files of a table before and after a compaction."""

    before: int
    after: int


def compact(lake: Lake, table: str, target_rows: int = TARGET_ROWS) -> Compacted:
    """Join small files, and rewrite those of an older schema; rows, and what older versions hold, stay the same.

    Every joined file is a commit of its own, so an interrupted compaction keeps what it has done. Others may
    commit meanwhile. What was replaced stays on disk, for readers and older versions, until `retain`.

    Raises:
        LakeError: a file cannot be read or written, or other commits kept coming in between.
    """
    log = TableLog(lake.location, table)
    before = files_of(log.snapshot())
    after = len(before)
    for group in _groups(table, before, target_rows):
        if _replace(lake, log, group):
            after -= len(group) - 1
    return Compacted(len(before), after)


def small_files(lake: Lake, table: str, rows: int) -> int:
    """The number of a table's files with fewer rows."""
    return sum(file.rows < rows for file in files_of(TableLog(lake.location, table).snapshot()).values())


def checkpoint(lake: Lake, table: str) -> int | None:
    """Write the log's state as one file, so that readers need not replay it; the version, None without a table."""
    snapshot = TableLog(lake.location, table).snapshot()
    if snapshot is None:
        return None
    try:
        snapshot.create_checkpoint()
    except (DeltaError, OSError) as error:
        what = f"Could not write a checkpoint of table {table} under {lake.root}"
        raise fault(what, error, "Nothing was changed. Run the same command again.") from error
    return snapshot.version()


def retain(lake: Lake, table: str, days: float, dry_run: bool) -> list[str]:
    """Delete files that compaction replaced more than `days` ago; versions that need them can no longer be read.

    Returns:
        Paths of the files, deleted or (`dry_run`) to be deleted.
    """
    log = TableLog(lake.location, table)
    needed = set(files_of(log.snapshot()))
    there = {each.name for each in lake.location.files(table)}
    before = (time.time() - days * 86_400) * 1000
    old = sorted(name for name, when in log.removed().items() if when <= before and name in there - needed)
    if not dry_run:
        _delete(lake, [f"{table}/{name}" for name in old])
    return [lake.location.path(f"{table}/{name}") for name in old]


def newer_files(lake: Lake, table: str) -> list[str]:
    """Paths of a table's committed files whose schema has a later version than this release knows."""
    return [path for path in lake.files(table) if _newer(table, StagedFile(path.rpartition("/")[2], 0, 0))]


def newest_commit(lake: Lake) -> int | None:
    """Time of the newest commit to any table, in milliseconds since 1970; None if there is none."""
    snapshots = filter(None, (TableLog(lake.location, table).snapshot() for table in SCHEMAS))
    times = [each["timestamp"] for snapshot in snapshots for each in snapshot.history(1) if "timestamp" in each]
    return max(times, default=None)


def orphans(lake: Lake, older_than: timedelta = timedelta(), *tables: str) -> list[str]:
    """Paths of files that no version of their table names and that have not changed for a while.

    A killed or failed worker leaves them; so does, for a moment, one that is still at work. The rows of a table
    whose log is damaged may be among them.

    Args:
        tables: only these; none named: all.
    """
    before = datetime.now(UTC) - older_than
    names = (f"{table}/{name}" for table in tables or SCHEMAS for name in _orphans(lake, table, before))
    return [lake.location.path(name) for name in names]


def clear_orphans(lake: Lake, older_than: timedelta, *tables: str) -> list[str]:
    """Delete `orphans`; a writer that took longer than `older_than` between staging and commit fails cleanly."""
    found = orphans(lake, older_than, *tables)
    _delete(lake, [path.removeprefix(f"{lake.root}/") for path in found])
    return found


def _delete(lake: Lake, names: list[str]) -> None:
    for name in names:
        try:
            lake.location.delete(name)
        except FileNotFoundError:
            continue  # someone else cleared it
        except OSError as error:
            raise fault(f"Could not delete {name} under {lake.root}", error, "Try again.") from error


def _orphans(lake: Lake, table: str, before: datetime) -> Iterator[str]:
    # The log is read after the folder: a commit between the two must not make an orphan.
    with log_errors(lake.location, table):
        found = [each for each in lake.location.files(table) if not LOGGED.fullmatch(each.name)]
    log = TableLog(lake.location, table)
    known = set(files_of(log.snapshot())) | log.logged()
    yield from (each.name for each in found if each.name not in known and each.modified <= before)


def _groups(table: str, files: dict[str, StagedFile], target_rows: int) -> Iterator[list[StagedFile]]:
    """Runs of files to be joined: small ones, and those of an older schema, alone if need be."""
    group: list[StagedFile] = []
    for file in sorted(files.values(), key=lambda each: each.path):
        if _newer(table, file) or (file.rows >= target_rows / 2 and not _outdated(table, file)):
            continue
        if group and sum(each.rows for each in group) + file.rows > target_rows:
            yield from _worthwhile(table, group)
            group = []
        group.append(file)
    yield from _worthwhile(table, group)


def _worthwhile(table: str, group: list[StagedFile]) -> Iterator[list[StagedFile]]:
    if len(group) > 1 or any(_outdated(table, file) for file in group):
        yield group


def _outdated(table: str, file: StagedFile) -> bool:
    named = NAME.fullmatch(file.path)
    return named is None or int(named[1] or 1) < version_of(table)


def _newer(table: str, file: StagedFile) -> bool:
    """Whether a later release wrote the file. This release would drop its new columns."""
    named = NAME.fullmatch(file.path)
    return named is not None and int(named[1] or 1) > version_of(table)


def _replace(lake: Lake, log: TableLog, group: list[StagedFile]) -> bool:
    """Commit the joined file; False if another compaction has replaced one of the group already.

    The commit may not be rebased (see `TableLog.replace`), so it waits until no other process commits.
    """
    joined: StagedFile | None = None
    snapshot, deadline = log.snapshot(), time.monotonic() + PATIENCE_S
    while snapshot is not None and {file.path for file in group} <= set(files_of(snapshot)):
        joined = joined or lake.stage(log.table, pa.concat_tables(_rows(log, file) for file in group))
        tried = snapshot.version()
        try:
            if not log.evolve(snapshot):
                log.replace(snapshot, {file.path: file.size for file in group}, [joined])
                return True
        except (DeltaError, OSError) as error:
            snapshot = log.snapshot()
            alone = snapshot is not None and snapshot.version() == tried
            if (alone or time.monotonic() > deadline) and not log.holds([joined]):
                _delete(lake, [joined.path])
                why = "" if alone else f" within {PATIENCE_S} s, since others kept committing"
                what = f"Could not compact table {log.table} of {lake.root}{why}"
                raise fault(what, error, "Nothing was changed; try again.") from error
            time.sleep(random.uniform(0, 0.01))
        else:
            snapshot = log.snapshot()
    if joined is None:
        return False
    if log.holds([joined]):  # the commit failed after it was done
        return True
    _delete(lake, [joined.path])
    return False


def _rows(log: TableLog, file: StagedFile) -> pa.Table:
    """A file's rows with all columns of today's schema."""
    try:
        found = pq.read_table(pa.BufferReader(content_of(log.location, log.table, file)))
    except (OSError, pa.ArrowException) as error:
        raise unreadable(log.location, log.table, [file], error) from error
    for field in log.schema:
        if field.name not in found.column_names:
            found = found.append_column(field, pa.nulls(found.num_rows, field.type))
    return found.select(log.schema.names).cast(log.schema)
