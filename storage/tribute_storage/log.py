"""The Delta log of one table: which files are in which version, and which run put them there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import (
    AddAction,
    CommitProperties,
    RemoveAction,
    Transaction,
    create_table_with_add_actions,
)

from tribute_storage.errors import LakeError
from tribute_storage.integrity.commits import COMMIT, FOLDER, entries
from tribute_storage.integrity.moments import TOGETHER, last_moment, now_ms
from tribute_storage.integrity.opening import log_errors, log_errors_of, open_log
from tribute_storage.integrity.register import Mark, mark
from tribute_storage.location import Location
from tribute_storage.refusals import fault
from tribute_storage.schemas import doc_of, schema_of
from tribute_storage.staging import StagedFile

COMPACTION = "tribute compaction"
UNTIMED = 1
"""The number of every run's transaction in version 1 of the lake; today it is the time."""
_ERRORS = (DeltaError, OSError)
KEPT = {"delta.logRetentionDuration": "interval 3650 days"}
"""Commits are kept as long as accounting records are."""


class TableLog:
    """One table of the lake, independent of the meaning of its rows.

    Raises:
        LakeError: the lake has no such table.
    """

    def __init__(self, location: Location, table: str) -> None:
        self.schema = schema_of(table)
        self.location, self.table = location, table
        self._uri = location.path(table)

    def snapshot(self, at: int | datetime | None = None) -> DeltaTable | None:
        """The table now, in a version or at a moment; None where it did not exist.

        Raises:
            LakeDamaged: its log is gone, cut, or that of another table.
            LakeUnavailable: the disk or the store refuses.
            LakeError: there is no such version, or a later release wrote the table.
        """
        snapshot = open_log(self.location, self.table)
        if snapshot is None or at is None:
            return snapshot
        try:
            version = _version_at(snapshot, at) if isinstance(at, datetime) else at
            if version is not None:
                snapshot.load_as_version(version)
        except (*_ERRORS, ValueError, OverflowError) as error:
            what = f"Table {self.table} of {self.location.uri} cannot be read of version {at}"
            raise fault(what, error, f"Its newest version is {snapshot.version()}.") from error
        return None if version is None else snapshot

    def committed_at(self, run_id: str, snapshot: DeltaTable | None = None) -> int | None:
        """When a run was committed, in milliseconds since 1970; None if it was not (in `snapshot`, if given)."""
        snapshot = snapshot or self.snapshot()
        with log_errors(self.location, self.table):
            number = None if snapshot is None else snapshot.transaction_version(run_id)
        return self._times.get(run_id, number) if number == UNTIMED else number

    def append(
        self, snapshot: DeltaTable | None, run_id: str, files: Sequence[StagedFile], *, alone: bool = False
    ) -> None:
        """Add files as the one transaction of a run; raises DeltaError where another commit is in its way.

        The transaction's number is the moment of the commit, later than that of the one before it.

        Args:
            alone: whether any commit after `snapshot` is in its way; otherwise only one of the same run.
        """
        additions = [_addition(self.location, self.table, file, True) for file in files]
        schema, once = Schema.from_arrow(self.schema), [Transaction(run_id, _moment(self, snapshot))]
        # A retry inside deltalake checks nothing: it writes a lost race for version 0 again as version 1.
        unchecked = CommitProperties(app_transactions=once)
        checked = CommitProperties(app_transactions=once, max_commit_retries=0)
        if snapshot is not None:
            least, properties = snapshot.version() + 1, checked if alone else unchecked
            snapshot.create_write_transaction(list(additions), "append", schema, commit_properties=properties)
            self._mark(snapshot.metadata().id, least)
            return
        create_table_with_add_actions(
            self._uri,
            schema,
            additions,
            name=self.table,
            description=doc_of(self.schema),
            configuration=KEPT,
            commit_properties=checked,
        )
        with suppress(*_ERRORS):  # a mark that is missing is made by the next commit
            self._mark(DeltaTable(self._uri).metadata().id, 0)

    def _mark(self, table_id: object, version: int) -> None:
        mark(self.location, self.table, Mark(version, str(table_id)))

    def replace(self, snapshot: DeltaTable, old: Mapping[str, int], files: Sequence[StagedFile]) -> None:
        """Replace files by others that hold the same rows; raises DeltaError if anything came between.

        deltalake lets two commits remove the same file, which would double its rows: so it may not retry, and
        all compactions share one transaction name.
        """
        now = _moment(self, snapshot)
        removals = [RemoveAction(name, False, now, size, {}) for name, size in old.items()]
        alone = CommitProperties(app_transactions=[Transaction(COMPACTION, now)], max_commit_retries=0)
        snapshot.create_write_transaction(
            [*removals, *(_addition(self.location, self.table, file, False) for file in files)],
            "append",
            Schema.from_arrow(self.schema),
            commit_properties=alone,
        )

    def evolve(self, snapshot: DeltaTable) -> bool:
        """Give the table the columns that its schema has gained, and today's settings; whether it lacked any."""
        known = {field.name for field in snapshot.schema().fields}
        missing = [field for field in Schema.from_arrow(self.schema).fields if field.name not in known]
        if missing:
            snapshot.alter.add_columns(missing)
        elif KEPT.items() - snapshot.metadata().configuration.items():
            snapshot.alter.set_table_properties(KEPT)
        else:
            return False
        return True

    def runs_since(self, version: int | None, conflicting: pc.Expression | None) -> Iterator[tuple[str, int]]:
        """Runs whose rows came in after a version (None: ever), and when, in milliseconds since 1970.

        Args:
            conflicting: only runs with a row for which this holds. Compactions have none: their rows are not new.
        """
        for commit in self._commits(-1 if version is None else version):
            added = [entry["add"]["path"] for entry in commit if entry.get("add", {}).get("dataChange")]
            if any(self._has_row(name, conflicting) for name in added):
                yield _run_of(commit) or "a run without a name", _timestamp(commit)

    def _has_row(self, name: str, chosen: pc.Expression | None) -> bool:
        with self.location.open(f"{self.table}/{name}") as file:
            both = [self.schema.empty_table(), pq.read_table(file)]
        rows = pa.concat_tables(both, promote_options="permissive")
        return bool((rows if chosen is None else rows.filter(chosen)).num_rows)

    def logged(self, version: int | None = None) -> set[str]:
        """Every file that a version up to this one (None: the newest) added or removed, so also older ones."""
        entries = [entry for commit in self._commits(until=version) for entry in commit]
        return {entry[key]["path"] for entry in entries for key in ("add", "remove") if key in entry}

    def run_of_file(self) -> dict[str, str]:
        """The run that committed a file's rows; none for a file that a compaction made."""
        added = [(entry.get("add", {}), _run_of(commit)) for commit in self._commits() for entry in commit]
        return {add["path"]: run for add, run in added if run and add.get("dataChange")}

    def removed(self) -> dict[str, int]:
        """Files that a version took out of the table, and when: milliseconds since 1970."""
        found = [entry["remove"] for commit in self._commits() for entry in commit if "remove" in entry]
        return {each["path"]: each.get("deletionTimestamp", 0) for each in found}

    def holds(self, files: Sequence[StagedFile]) -> bool:
        """Whether these files were committed; tells whether an error came before or after the commit."""
        return bool(files) and {file.path.rpartition("/")[2] for file in files} <= self.logged()

    @cached_property
    def _times(self) -> dict[str | None, int]:
        return {_run_of(commit): _timestamp(commit) for commit in self._commits()}

    def _commits(self, after: int = -1, until: int | None = None) -> Iterator[list[dict[str, Any]]]:
        """The entries of every commit after a version and up to another one, in order."""
        for file in self.location.files(folder := f"{self.table}/{FOLDER}"):
            named = COMMIT.fullmatch(file.name)
            if named and after < int(named[1]) and (until is None or int(named[1]) <= until):
                with log_errors(self.location, self.table):
                    found = entries(self.location.read(f"{folder}/{file.name}"))
                yield found


def _addition(location: Location, table: str, file: StagedFile, new_rows: bool) -> AddAction:
    folder, _, name = file.path.partition("/")
    info = location.info(file.path)
    if folder != table or info is None or info.size != file.size:
        raise LakeError(
            f"Staged file {file.path} ({file.size} bytes) is not in table {table} of "
            f"{location.uri} as it was written. Nothing was committed; run the stage again."
        )
    modified_ms = int(info.modified.timestamp() * 1000)
    return AddAction(name, file.size, {}, modified_ms, new_rows, json.dumps({"numRecords": file.rows}))


def _moment(log: TableLog, snapshot: DeltaTable | None) -> int:
    """Now, in milliseconds since 1970; or what follows the commit before, if the clock went backwards."""
    moments = [now_ms()]
    if snapshot is not None:
        moments.append(last_moment(log.location, log.table, snapshot.version()) + 1)
    beside = TOGETHER.get(log.table)
    if beside is not None and (other := TableLog(log.location, beside).snapshot()) is not None:
        moments.append(last_moment(log.location, beside, other.version()) + 1)
    return max(moments)


def _version_at(snapshot: DeltaTable, moment: datetime) -> int | None:
    """The version by the times of commits, not of files, which change when a lake is copied.

    A version is never older than the one before it, though a clock may have gone backwards between the two.
    """
    history = sorted((each["version"], each["timestamp"]) for each in snapshot.history())
    times = accumulate((timestamp for _, timestamp in history), max)
    before = [
        version for (version, _), time in zip(history, times, strict=True) if time <= moment.timestamp() * 1000
    ]
    return max(before, default=None)


def _timestamp(commit: list[dict[str, Any]]) -> int:
    return next((entry["commitInfo"]["timestamp"] for entry in commit if "commitInfo" in entry), UNTIMED)


def _run_of(commit: list[dict[str, Any]]) -> str | None:
    return next((entry["txn"]["appId"] for entry in commit if "txn" in entry), None)


def files_of(snapshot: DeltaTable | None) -> dict[str, StagedFile]:
    """The files of a snapshot by name; `path` is the name too."""
    if snapshot is None:
        return {}
    # Not pa.table: it imports pandas to find out whether it was handed a data frame.
    with log_errors_of(snapshot):
        actions = pa.RecordBatchReader.from_stream(snapshot.get_add_actions()).read_all()
    rows = actions.select(["path", "size_bytes", "num_records"]).to_pylist()
    return {row["path"]: StagedFile(row["path"], row["size_bytes"], row["num_records"] or 0) for row in rows}
