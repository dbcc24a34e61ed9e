"""Any sequence of commits, crashes, compactions and deletions leaves the state of an in-memory model."""

import shutil
import tempfile
from datetime import timedelta
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake, LakeError, StagedFile, open_tables
from tribute_storage.upkeep.maintenance import checkpoint, clear_orphans, compact, orphans, retain

RUNS = st.sampled_from(["r1", "r2", "it's", "é %20"])
IDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3), max_size=4)


class Version(NamedTuple):
    """What a version of the table holds: rows of every run, and the files that hold them."""

    rows: list[tuple[str, str]]
    files: frozenset[str]


class LakeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.lake = Lake(self.folder)
        self.versions: list[Version] = []
        self.waiting: dict[str, list[tuple[StagedFile, list[str]]]] = {}
        self.committed: dict[str, list[StagedFile]] = {}
        self.lost: set[str] = set()
        self.deleted: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def now(self) -> Version:
        return self.versions[-1] if self.versions else Version([], frozenset())

    def path(self, file: StagedFile) -> str:
        return f"{self.lake.root}/{file.path}"

    def add(self, run_id: str, ids: list[str]) -> None:
        rows = sorted([*self.now.rows, *((run_id, each) for each in ids)])
        self.versions.append(Version(rows, frozenset(self.lake.files("publishers"))))

    @rule(run_id=RUNS, ids=IDS)
    def stage(self, run_id: str, ids: list[str]) -> None:
        staged = self.lake.stage("publishers", publisher_rows(run_id, ids))
        self.waiting.setdefault(run_id, []).append((staged, ids))

    @rule(run_id=RUNS)
    def commit(self, run_id: str) -> None:
        waiting = self.waiting.pop(run_id, [])
        files = [staged for staged, _ in waiting]
        fresh = run_id not in self.committed
        assert self.lake.commit("publishers", run_id, files) == fresh
        if fresh:
            self.committed[run_id] = files
            self.add(run_id, [each for _, ids in waiting for each in ids])
        else:
            self.lost |= {self.path(file) for file in files}

    @precondition(lambda self: self.committed)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.committed)))
        assert not self.lake.commit("publishers", run_id, self.committed[run_id])

    @rule(run_id=RUNS, ids=IDS)
    def append(self, run_id: str, ids: list[str]) -> None:
        fresh = run_id not in self.committed
        assert self.lake.append("publishers", run_id, publisher_rows(run_id, ids)) == fresh
        if fresh:
            self.committed[run_id] = []
            self.add(run_id, ids)

    @rule(run_id=RUNS)
    def crash(self, run_id: str) -> None:
        self.lost |= {self.path(file) for file, _ in self.waiting.pop(run_id, [])}

    @rule(target_rows=st.sampled_from([1, 4, 100]))
    def compact(self, target_rows: int) -> None:
        before = self.lake.version("publishers")
        compacted = compact(self.lake, "publishers", target_rows)
        assert compacted.before == len(self.now.files)
        after = self.lake.version("publishers")
        files = frozenset(self.lake.files("publishers"))
        assert compacted.after == len(files)
        if before is not None and after is not None and after > before:
            middle = [frozenset(self.lake.files("publishers", number)) for number in range(before + 1, after + 1)]
            self.versions += [Version(self.now.rows, each) for each in middle]

    @rule()
    def checkpoint(self) -> None:
        assert checkpoint(self.lake, "publishers") == self.lake.version("publishers")

    @rule()
    def retain(self) -> None:
        ever = frozenset[str]().union(*(version.files for version in self.versions))
        replaced = ever - self.now.files - self.deleted
        assert retain(self.lake, "publishers", 1, dry_run=False) == []
        assert set(retain(self.lake, "publishers", 0, dry_run=True)) == replaced
        assert set(retain(self.lake, "publishers", 0, dry_run=False)) == replaced
        self.deleted |= replaced

    @rule()
    def clear(self) -> None:
        waiting = {self.path(file) for files in self.waiting.values() for file, _ in files}
        assert clear_orphans(self.lake, timedelta(hours=1)) == []
        assert set(clear_orphans(self.lake, timedelta())) == self.lost | waiting
        self.lost.clear()
        self.waiting.clear()

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def travel(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.versions) - 1))
        rows, files = self.versions[number]
        if files & self.deleted:
            with pytest.raises(LakeError, match="were deleted since"):
                self.lake.files("publishers", number)
            return
        with open_tables(self.folder, "publishers", as_of=f"publishers={number}") as connection:
            assert self.read(connection, "publishers") == rows
            if files:
                assert self.read(connection, f"as_of('publishers', {number})") == rows

    @rule()
    def read_now(self) -> None:
        with open_tables(self.folder, "publishers") as connection:
            assert self.read(connection, "publishers") == self.now.rows

    @staticmethod
    def read(connection, relation: str) -> list[tuple[str, str]]:
        return sorted(connection.execute(f"SELECT run_id, publisher_id FROM {relation}").fetchall())

    @invariant()
    def the_rows_are_the_models(self) -> None:
        tables = [pq.read_table(path).to_pylist() for path in self.lake.files("publishers")]
        assert sorted((row["run_id"], row["publisher_id"]) for rows in tables for row in rows) == self.now.rows

    @invariant()
    def the_versions_are_the_models(self) -> None:
        assert self.lake.version("publishers") == (len(self.versions) - 1 if self.versions else None)
        assert all(self.lake.committed("publishers", run_id) for run_id in self.committed)

    @invariant()
    def nothing_else_lies_about(self) -> None:
        waiting = {self.path(file) for files in self.waiting.values() for file, _ in files}
        assert set(orphans(self.lake)) == self.lost | waiting


TestLakeMachine = LakeMachine.TestCase
TestLakeMachine.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
