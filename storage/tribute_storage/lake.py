"""The lake: tables of immutable Parquet files, made visible by one Delta commit per run and table."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, CommitProperties, Transaction, create_table_with_add_actions

from tribute_storage.errors import LakeError
from tribute_storage.schemas import SCHEMAS, doc_of, schema_of
from tribute_storage.staging import CommittedFile, StagedFile, stage

__all__ = ["CommittedFile", "Lake", "StagedFile"]

ATTEMPTS = 30
LOG = "_delta_log"


class Lake:
    """Tables under one folder; cheap to make, holds no open files, and travels to workers.

    Args:
        root: the lake's folder; made by the first write.

    Raises:
        LakeError: the folder's name holds a percent escape, which Delta would take for another name.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        if unquote(str(self.root)) != str(self.root):
            raise LakeError(f"Folder {self.root} holds a percent escape; choose one without it for the lake.")

    def stage(self, table: str, rows: pa.Table) -> StagedFile:
        """Write `rows` as one file that no reader sees yet; see `staging.stage` for what it raises."""
        return stage(self.root, table, rows)

    def commit(self, table: str, run_id: str, files: Sequence[StagedFile]) -> bool:
        """Make `files` visible in one transaction, which is the only one of `run_id` in this table.

        The transaction carries the run's id, and Delta lets one of two racing commits with one id win, so
        neither a retry nor a second driver commits anything twice. The first commit makes the table.

        Returns:
            False if the table already holds this run: nothing was changed, `files` are not needed.

        Raises:
            LakeError: no such table, a staged file is gone or cut short, or the commit did not get through.
        """
        failure: Exception | None = None
        for attempt in range(ATTEMPTS):
            # One snapshot for the check and the commit: a commit between the two is then a conflict.
            snapshot = self._snapshot(table)
            if snapshot is not None and snapshot.transaction_version(run_id) is not None:
                return False
            actions = self._additions(table, files)
            try:
                self._transact(table, run_id, snapshot, actions)
                return True
            except (DeltaError, OSError) as error:
                failure = error
                time.sleep(0.005 * attempt)
        raise LakeError(
            f"Could not commit run {run_id} to table {table} in {ATTEMPTS} attempts: {failure}. "
            "Nothing of it is visible; run the stage again."
        ) from failure

    def append(self, table: str, run_id: str, rows: pa.Table) -> bool:
        """Stage and commit a small table at once; False if the run was committed before."""
        if self.committed(table, run_id):
            return False
        return self.commit(table, run_id, [self.stage(table, rows)])

    def committed(self, table: str, run_id: str) -> bool:
        """Whether `run_id` has been committed to `table`."""
        snapshot = self._snapshot(table)
        return snapshot is not None and snapshot.transaction_version(run_id) is not None

    def version(self, table: str) -> int | None:
        """Version of the table, 0 after its first commit; None before."""
        snapshot = self._snapshot(table)
        return None if snapshot is None else snapshot.version()

    def files(self, table: str) -> list[str]:
        """Absolute paths of the committed files, in an order that depends on their content only."""
        return [str(self.root / table / name) for name in sorted(self._names(table))]

    def orphans(self) -> list[Path]:
        """Files on disk that no version of their table names, whatever their age.

        A killed or failed worker leaves them; so does, for a moment, one that is still at work: clear
        them only when nothing runs.
        """
        return [path for table in SCHEMAS for path in self._orphans(table)]

    def _orphans(self, table: str) -> list[Path]:
        folder = self.root / table
        # The log is read after the folder: a commit between the two must not make an orphan.
        found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        known = self._names(table) | self._logged(table)
        return sorted(
            path for name, path in found.items() if name.parts[0] != LOG and name.as_posix() not in known
        )

    def _logged(self, table: str) -> set[str]:
        """Every file that a version in the log added or removed, so also those of older versions."""
        entries = (
            json.loads(line)
            for log in (self.root / table / LOG).glob("*.json")
            for line in log.read_text().splitlines()
        )
        return {entry[key]["path"] for entry in entries for key in ("add", "remove") if key in entry}

    def _names(self, table: str) -> set[str]:
        snapshot = self._snapshot(table)
        if snapshot is None:
            return set()
        return set(pa.table(snapshot.get_add_actions())["path"].to_pylist())

    def _snapshot(self, table: str) -> DeltaTable | None:
        schema_of(table)
        try:
            return DeltaTable(self.root / table)
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise LakeError(f"Table {table} of {self.root} cannot be read: {error}.") from error

    def _additions(self, table: str, files: Sequence[StagedFile]) -> list[AddAction]:
        if len({file.path for file in files}) < len(files):
            raise LakeError(f"A file was handed in twice for one commit to table {table}.")
        return [self._addition(table, file) for file in files]

    def _addition(self, table: str, file: StagedFile) -> AddAction:
        folder, _, name = file.path.partition("/")
        path = self.root / table / name
        if folder != table or not path.is_file() or path.stat().st_size != file.size:
            raise LakeError(
                f"Staged file {file.path} ({file.size} bytes) is not in table {table} of {self.root} as it was "
                "written. Nothing was committed; run the stage again."
            )
        modified_ms = path.stat().st_mtime_ns // 1_000_000
        return AddAction(name, file.size, {}, modified_ms, True, json.dumps({"numRecords": file.rows}))

    def _transact(self, table: str, run_id: str, snapshot: DeltaTable | None, actions: list[AddAction]) -> None:
        schema = Schema.from_arrow(schema_of(table))
        transactions = [Transaction(run_id, 1)]
        if snapshot is not None:
            once = CommitProperties(app_transactions=transactions)
            snapshot.create_write_transaction(list(actions), "append", schema, commit_properties=once)
            return
        # No retries inside deltalake: it would write a lost race for version 0 again as version 1, unchecked.
        first = CommitProperties(app_transactions=transactions, max_commit_retries=0)
        create_table_with_add_actions(
            str(self.root / table),
            schema,
            actions,
            name=table,
            description=doc_of(schema_of(table)),
            commit_properties=first,
        )
