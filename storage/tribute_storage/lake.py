"""The lake: tables of immutable Parquet files, made visible by one Delta commit per run and table."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from tribute_storage.errors import Damage, LakeConflict, LakeDamaged, LakeError
from tribute_storage.integrity.files import misfits
from tribute_storage.location import Location
from tribute_storage.log import TableLog, files_of
from tribute_storage.refusals import fault, refusal
from tribute_storage.staging import StagedFile, stage

ATTEMPTS, REFUSED_ATTEMPTS = 60, 10
"""Tries of a commit against other writers, and against a disk or a store that refuses."""


@dataclass(frozen=True)
class Basis:
    """What new rows follow from: a table as it was read, and the rows that would have made others of them.

    Read the version before the rows: what is committed between the two is then taken for later.

    Args:
        version: of the table when it was read (`Lake.version`); None: it did not exist.
        conflicting: which rows, if they were committed since, are in the way; None: all. It is called only where
            something was committed, since the first expression of a process is slow to make.
    """

    version: int | None
    conflicting: Callable[[], pc.Expression] | None = None


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

    def commit(self, table: str, run_id: str, files: Sequence[StagedFile], *, basis: Basis | None = None) -> bool:
        """Make `files` visible in one transaction, which is the only one of `run_id` in this table.

        The transaction carries the run's id, and Delta lets one of two racing commits with one id win, so
        neither a retry nor a second driver commits anything twice. The first commit makes the table.

        Args:
            basis: what the rows follow from; nothing is committed where conflicting rows came in since.

        Returns:
            False if the table already holds this run: nothing was changed, `files` are not needed.

        Raises:
            LakeConflict: another process committed conflicting rows first; names its run.
            LakeError: no such table, a staged file is gone or cut short, or the commit did not get through.
        """
        if len({file.path for file in files}) < len(files):
            raise LakeError(f"A file was handed in twice for one commit to table {table}.")
        log, failure = TableLog(self.location, table), None
        for attempt in range(ATTEMPTS):
            # One snapshot for the check and the commit: a commit between the two is then a conflict.
            snapshot = log.snapshot()
            if log.committed_at(run_id, snapshot) is not None:
                return failure is not None and log.holds(files)  # the commit may have failed after it was done
            if basis is not None:
                _require_unchanged(log, snapshot, run_id, basis)
            try:
                if snapshot is not None and log.evolve(snapshot):
                    continue
                log.append(snapshot, run_id, files, alone=basis is not None)
                return True
            except (DeltaError, OSError) as error:
                failure = error
                if attempt + 1 >= REFUSED_ATTEMPTS and refusal(error):
                    break
                time.sleep(random.uniform(0, 0.005 * min(attempt + 1, 40)))
        assert failure is not None
        what = f"Could not commit run {run_id} to table {table} of {self.root} in {attempt + 1} attempts"
        raise fault(what, failure, "Nothing of it is visible; run the stage again.") from failure

    def append(self, table: str, run_id: str, rows: pa.Table, *, basis: Basis | None = None) -> bool:
        """Stage and commit a small table at once; False if the run was committed before.

        `basis`: as in `commit`.
        """
        if self.committed(table, run_id):
            return False
        return self.commit(table, run_id, [self.stage(table, rows)], basis=basis)

    def require_unchanged(self, table: str, run_id: str, basis: Basis) -> None:
        """Check, before a run commits to other tables, that its rows can still be committed to this one.

        Raises:
            LakeConflict: another process committed conflicting rows first; names its run.
        """
        log = TableLog(self.location, table)
        _require_unchanged(log, log.snapshot(), run_id, basis)

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
            LakeDamaged: a file is missing, or has another size than was written.
            LakeError: no such version, or a file of an older one was deleted since.
        """
        log = TableLog(self.location, table)
        snapshot = log.snapshot(at)
        if snapshot is None and isinstance(at, int):
            raise LakeError(f"Table {table} of {self.root} has no version {at}: nothing was committed to it yet.")
        while found := misfits(self.location, table, files_of(snapshot)):
            newer = log.snapshot()
            if at is not None or newer is None or snapshot is None or newer.version() == snapshot.version():
                self._raise_misfits(found, at, len(files_of(snapshot)), files_of(newer))
            snapshot = newer  # a compaction replaced the files, and they were deleted meanwhile
        return [self.location.path(f"{table}/{name}") for name in sorted(files_of(snapshot))]

    def _raise_misfits(
        self, found: list[Damage], at: int | datetime | None, of: int, current: Mapping[str, StagedFile]
    ) -> NoReturn:
        """Of an older version only what retention may not delete is damage: what the table still has."""
        damaged = [each for each in found if at is None or each.file.partition("/")[2] in current]
        if damaged:
            raise LakeDamaged.of(self.root, damaged)
        table = found[0].table
        raise LakeError(
            f"Table {table} of {self.root} cannot be read at {at}: {len(found)} of its {of} files were deleted "
            "since, as lake retention allows. Ask for a later version."
        )


def _require_unchanged(log: TableLog, snapshot: DeltaTable | None, run_id: str, basis: Basis) -> None:
    if snapshot is None or snapshot.version() == basis.version:
        return
    conflicting = basis.conflicting and basis.conflicting()
    for winner, committed_ms in log.runs_since(basis.version, conflicting):
        moment = datetime.fromtimestamp(committed_ms / 1000, UTC)
        raise LakeConflict(
            f"Nothing of run {run_id} was committed to table {log.table}: another process committed {winner} at "
            f"{moment:%Y-%m-%d %H:%M:%S} UTC, while this command was at work. Run the same command again."
        )
