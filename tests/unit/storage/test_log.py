import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake, LakeError, StagedFile
from tribute_storage.log import KEPT, TableLog, files_of


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    for run_id in ("r1", "r2"):
        lake.append("publishers", run_id, publisher_rows(run_id, ["p1"]))
        time.sleep(0.002)
    return lake


@pytest.fixture
def log(lake: Lake) -> TableLog:
    return TableLog(lake.location, "publishers")


def test_a_table_that_is_not_there_has_no_snapshot_in_any_version(tmp_path: Path) -> None:
    log = TableLog(Lake(tmp_path).location, "publishers")
    assert [log.snapshot(at) for at in (None, 0, datetime.now(UTC))] == [None] * 3
    assert (log.committed_at("r1"), log.logged(), log.removed()) == (None, set(), {})


def test_the_snapshot_of_a_moment_is_the_last_version_before_it(log: TableLog) -> None:
    times = [log.committed_at(run_id) for run_id in ("r1", "r2")]
    assert times == sorted(times)
    first = datetime.fromtimestamp(
        DeltaTable(log.location.path("publishers")).history()[-1]["timestamp"] / 1000, UTC
    )
    assert log.snapshot(first - timedelta(milliseconds=1)) is None
    found = [log.snapshot(at) for at in (first, datetime.now(UTC) + timedelta(days=1))]
    assert [snapshot and snapshot.version() for snapshot in found] == [0, 1]


def test_a_moment_means_the_same_in_a_copy_of_the_lake(log: TableLog, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    shutil.copytree(log.location.uri, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*.json"):
        os.utime(path, (2**31, 2**31))
    copied = TableLog(Lake(tmp_path / "copy").location, "publishers").snapshot(now)
    assert copied is not None
    assert copied.version() == 1


def test_a_version_that_does_not_exist_is_a_clear_error(log: TableLog) -> None:
    with pytest.raises(LakeError, match=r"Table publishers of .*lake cannot be read of version 2"):
        log.snapshot(2)
    with pytest.raises(LakeError, match="version -1"):
        log.snapshot(-1)


def test_the_log_knows_every_file_that_ever_was(lake: Lake, log: TableLog) -> None:
    snapshot = log.snapshot()
    assert snapshot is not None
    old = files_of(snapshot)
    joined = lake.stage("publishers", publisher_rows("r1", ["p1", "p2"]))
    assert not log.holds([joined])
    log.replace(snapshot, {file.path: file.size for file in old.values()}, [joined])
    name = joined.path.partition("/")[2]
    assert files_of(log.snapshot()) == {name: StagedFile(name, joined.size, 2)}
    assert log.logged() == {*old, name}
    assert set(log.removed()) == set(old)
    assert log.holds([joined])
    assert not log.holds([])


def test_a_replacement_of_what_another_commit_came_after_is_refused(lake: Lake, log: TableLog) -> None:
    snapshot = log.snapshot()
    assert snapshot is not None
    lake.append("publishers", "r3", publisher_rows("r3", ["p3"]))
    joined = lake.stage("publishers", publisher_rows("r1", ["p1", "p2"]))
    with pytest.raises(DeltaError):
        log.replace(snapshot, {file.path: file.size for file in files_of(snapshot).values()}, [joined])
    assert len(files_of(log.snapshot())) == 3


def test_a_table_without_todays_settings_is_given_them_once(log: TableLog) -> None:
    DeltaTable(log.location.path("publishers")).alter.set_table_properties(
        {"delta.logRetentionDuration": "interval 1 days"}
    )
    snapshot = log.snapshot()
    assert snapshot is not None
    assert log.evolve(snapshot)
    snapshot = log.snapshot()
    assert snapshot is not None
    assert KEPT.items() <= snapshot.metadata().configuration.items()
    assert not log.evolve(snapshot)
