"""The lake: tables of immutable Parquet files, made visible by one Delta commit per run and table."""

import random
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import DeltaError

from tribute_storage.errors import LakeConflict, LakeError
from tribute_storage.location import Location
from tribute_storage.log import TableLog, files_of
from tribute_storage.staging import StagedFile, stage

ATTEMPTS = 60


class Lake:
    """Tables under one folder or URI. It is cheap to create, holds no open files and can be pickled.

    Args:
        root: the lake's folder, made by the first write, or a URI such as `s3://bucket/lake`.

    Raises:
        LakeError: the folder's name holds a percent escape, which Delta would take for another name.
    """

    def __init__(self, root: Path | str) -> None:
        self.location = Location.of(root)

    @property
    def root(self) -> str:
        """The folder's absolute path, or the URI."""
        return self.location.uri

    def stage(self, table: str, rows: pa.Table) -> StagedFile:
        """Write `rows` as one file that no reader sees yet; see `staging.stage` for what it raises."""
        return stage(self.location, table, rows)

    def commit(self, table: str, run_id: str, files: Sequence[StagedFile], *, seen: int | None = None) -> bool:
        """Make `files` visible in one transaction, which is the only one of `run_id` in this table.

        The transaction carries the run's id, and Delta lets one of two racing commits with one id win, so
        neither a retry nor a second driver commits anything twice. The first commit makes the table.

        Args:
            seen: version of the table that the rows follow from; nothing is committed to a later one.

        Returns:
            False if the table already holds this run: nothing was changed, `files` are not needed.

        Raises:
            LakeConflict: another commit came after `seen`.
            LakeError: no such table, a staged file is gone or cut short, or the commit did not get through.
        """
        if len({file.path for file in files}) < len(files):
            raise LakeError(f"A file was handed in twice for one commit to table {table}.")
        log, failure = TableLog(self.location, table), None
        for attempt in range(ATTEMPTS):
            # One snapshot for the check and the commit: a commit between the two is then a conflict.
            snapshot = log.snapshot()
            if snapshot is not None and snapshot.transaction_version(run_id) is not None:
                return failure is not None and log.holds(files)  # the commit may have failed after it was done
            if seen is not None and snapshot is not None and snapshot.version() != seen:
                raise LakeConflict(
                    f"Run {run_id} was made from version {seen} of table {table}, which has version "
                    f"{snapshot.version()} by now: another process committed meanwhile. Run the command again."
                )
            try:
                if snapshot is not None and log.evolve(snapshot):
                    seen = None if seen is None else seen + 1
                    continue
                log.append(snapshot, run_id, files)
                return True
            except (DeltaError, OSError) as error:
                failure = error
                time.sleep(random.uniform(0, 0.005 * min(attempt + 1, 40)))
        raise LakeError(
            f"Could not commit run {run_id} to table {table} in {ATTEMPTS} attempts: {failure}. "
            "Nothing of it is visible; run the stage again."
        ) from failure

    def append(self, table: str, run_id: str, rows: pa.Table, *, seen: int | None = None) -> bool:
        """Stage and commit a small table at once; False if the run was committed before.

        `seen`: as in `commit`.
        """
        if self.committed(table, run_id):
            return False
        return self.commit(table, run_id, [self.stage(table, rows)], seen=seen)

    def committed(self, table: str, run_id: str) -> bool:
        """Whether `run_id` has been committed to `table`."""
        return TableLog(self.location, table).committed_at(run_id) is not None

    def version(self, table: str) -> int | None:
        """Version of the table, 0 after its first commit; None before."""
        snapshot = TableLog(self.location, table).snapshot()
        return None if snapshot is None else snapshot.version()

    def files(self, table: str, at: int | datetime | None = None) -> list[str]:
        """Paths of the committed files, now or at a version or moment, in an order that depends on their content.

        Raises:
            LakeError: no such version, or a file of it was deleted since.
        """
        snapshot = TableLog(self.location, table).snapshot(at)
        if snapshot is None and isinstance(at, int):
            raise LakeError(f"Table {table} of {self.root} has no version {at}: nothing was committed to it yet.")
        names = sorted(files_of(snapshot))
        gone = set(names) - {each.name for each in self.location.files(table)} if at is not None else set()
        if gone:
            raise LakeError(
                f"Table {table} of {self.root} cannot be read at {at}: {len(gone)} of its {len(names)} files were "
                "deleted since, as lake retention allows. Ask for a later version."
            )
        return [self.location.path(f"{table}/{name}") for name in names]
