"""A clock that goes backwards changes no order: the last commit is the newest."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.storage.rows import publisher_rows
from tribute_storage import SCHEMAS, Lake, query
from tribute_storage.log import TableLog
from tribute_storage.upkeep.maintenance import compact

NOON = 1_700_000_000_000
"""Milliseconds since 1970."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Sets the clock of commits, in milliseconds after noon."""
    return lambda after: monkeypatch.setattr("tribute_storage.log.now_ms", lambda: NOON + after)


def moments(lake: Lake, table: str, *runs: str) -> list[int]:
    log = TableLog(lake.location, table)
    return [(log.committed_at(run) or 0) - NOON for run in runs]


def test_the_latest_commit_has_the_latest_moment_when_the_clock_went_backwards(tmp_path: Path, clock) -> None:
    lake = Lake(tmp_path)
    for after, run in [(5_000, "r1"), (-3_600_000, "r2"), (-7_200_000, "r3")]:
        clock(after)
        assert lake.append("publishers", run, publisher_rows(run, [run]))
    compact(lake, "publishers")
    clock(-9_000_000)
    lake.append("publishers", "r4", publisher_rows("r4", ["p"]))
    assert moments(lake, "publishers", "r1", "r2", "r3", "r4") == [5_000, 5_001, 5_002, 5_004]
    newest = query(tmp_path, "select run_id from runs order by committed_at desc")["run_id"].to_pylist()
    assert newest == ["r4", "r3", "r2", "r1"]
    clock(60_000)
    lake.append("publishers", "r5", publisher_rows("r5", ["p"]))
    assert moments(lake, "publishers", "r5") == [60_000]


def test_a_policy_is_before_the_statements_that_follow_it_in_any_clock(tmp_path: Path, clock) -> None:
    lake = Lake(tmp_path)
    clock(5_000)
    lake.append("policies", "policy", rows("policies"))
    clock(0)
    lake.append("statements", "settle", rows("statements"))
    clock(-5_000)
    lake.append("policies", "next", rows("policies"))
    assert moments(lake, "policies", "policy", "next") == [5_000, 5_002]
    assert moments(lake, "statements", "settle") == [5_001]


def test_a_moment_asked_for_never_skips_a_version_before_it(tmp_path: Path) -> None:
    """Delta writes its own times: the second commit is an hour older here."""
    lake = Lake(tmp_path)
    for run in ("r1", "r2", "r3"):
        lake.append("publishers", run, publisher_rows(run, [run]))
    for version, hour in enumerate((12, 11, 13)):
        path = tmp_path / "publishers" / "_delta_log" / f"{version:020}.json"
        path.write_text(stamped(path.read_text(), int(datetime(2026, 10, 1, hour, tzinfo=UTC).timestamp() * 1000)))
    log = TableLog(lake.location, "publishers")
    versions = {}
    for hour, minute in [(11, 30), (12, 30), (13, 30)]:
        snapshot = log.snapshot(datetime(2026, 10, 1, hour, minute, tzinfo=UTC))
        versions[hour] = None if snapshot is None else snapshot.version()
    assert versions == {11: None, 12: 1, 13: 2}


def stamped(log: str, moment: int) -> str:
    """A commit's log with another time."""
    entries = [json.loads(line) for line in log.splitlines()]
    for entry in entries:
        if "commitInfo" in entry:
            entry["commitInfo"]["timestamp"] = moment
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


def rows(table: str) -> pa.Table:
    """No rows: a commit without any has a moment too."""
    return SCHEMAS[table].empty_table()
