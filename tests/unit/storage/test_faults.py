"""A kill or a full disk at every write, rename and commit: the old version or the new one, never a mix."""

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest

from tests.unit.storage import faulty
from tests.unit.storage.rows import publisher_rows
from tribute_storage import SCHEMAS, Lake
from tribute_storage.log import TableLog
from tribute_storage.upkeep.maintenance import clear_orphans, compact, orphans

ROOT = Path(__file__).parents[3]
STRACE = shutil.which("strace")

CALLS = (
    "openat,creat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,"
    "mkdir,mkdirat,unlink,unlinkat,ftruncate,copy_file_range"
)
CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
OLD = {("r1", "p1"), ("r1", "p2"), ("r2", "p3")}
NEW = {("new", name) for name in faulty.NEW}
NARROW = SCHEMAS["publishers"]
KINDS = {
    "first commit": "append",
    "commit of two files with a new column": "widen",
    "compaction": "compact",
    "checkpoint": "checkpoint",
    "retention": "retain",
}
COMMITS = ("append", "widen")
WRITING = [case for case in KINDS if case != "retention"]
EVERY = pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
"""Of the points, one in eight; all of them with -m slow."""
FAULTS = {"killed": "signal=SIGKILL:when={}", "disk full": "error=ENOSPC:when={}"}


class Point(NamedTuple):
    """The `number`th time that a call touches a path."""

    call: str
    path: str
    number: int


@pytest.fixture(autouse=True)
def _strace_is_here() -> None:
    if STRACE is None:
        stop = pytest.fail if "CI" in os.environ else pytest.skip
        stop("strace, which injects the faults, is missing: apt-get install strace")


@pytest.fixture(autouse=True)
def _schemas_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry of `widen` in this process changes a table's schema."""
    monkeypatch.setitem(SCHEMAS, "publishers", SCHEMAS["publishers"])


class Ended(NamedTuple):
    """How a change ended: its exit code, what it printed, and what strace saw of it."""

    returncode: int
    errors: str
    trace: str


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Make a change in a child process that strace follows with the given options."""
    folder = tmp_path_factory.mktemp("faults")
    trace, errors = folder / "trace", folder / "errors"
    command = [sys.executable, "-m", faulty.__name__]
    forking = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert forking.stdin is not None and forking.stdout is not None
    sent, answers = forking.stdin, forking.stdout

    def ask(line: str) -> int:
        print(line, file=sent, flush=True)
        return int(answers.readline())

    def traced(root: Path, change: str, *options: str) -> Ended:
        errors.write_text("")
        pid = ask(f"{root}\t{change}\t{errors}")
        strace = [str(STRACE), "-f", "-s", "0", "-o", str(trace), *options, "-p", str(pid)]
        with subprocess.Popen(strace, stderr=subprocess.PIPE, text=True) as follower:
            assert follower.stderr is not None
            assert "attached" in follower.stderr.readline()
            returncode = ask("start")
        return Ended(returncode, errors.read_text(), trace.read_text())

    yield traced
    sent.close()
    assert forking.wait() == 0


def points(run: Run, root: Path, change: str) -> list[Point]:
    """Every call of an undisturbed change that writes under the lake."""
    ended = run(root, change, "-y", "-e", f"trace={CALLS}")
    assert ended.returncode == 0, ended.errors
    found: Counter[tuple[str, str]] = Counter()
    for line in ended.trace.splitlines():
        called = CALL.match(line)
        paths = re.findall(rf"[\"<]({re.escape(str(root))}[^\">]*)[\">]", line)
        if called and paths and not (called[1] == "openat" and "O_CREAT" not in line):
            found[called[1], paths[0]] += 1
    return [Point(*place, number + 1) for place, times in found.items() for number in range(times)]


def rows_of(lake: Lake) -> list[tuple[str, str]]:
    tables = [pq.read_table(path).to_pylist() for path in lake.files("publishers")]
    return sorted((row["run_id"], row["publisher_id"]) for rows in tables for row in rows)


def made(root: Path, case: str) -> Lake:
    """A lake before the change, always the same files under the same path."""
    shutil.rmtree(root, ignore_errors=True)
    lake = Lake(root)
    names = (uuid.UUID(int=number << 64) for number in count(1000))
    with patch.dict(SCHEMAS, publishers=NARROW), patch.object(uuid, "uuid4", names.__next__):
        if case != "first commit":
            lake.append("publishers", "r1", publisher_rows("r1", ["p1", "p2"]))
            lake.append("publishers", "r2", publisher_rows("r2", ["p3"]))
        if case == "retention":
            compact(lake, "publishers")
    return lake


def require_old_or_new(lake: Lake, case: str) -> None:
    """The rows are those of before or after, and a second try succeeds exactly once."""
    before = set() if case == "first commit" else OLD
    after = before | NEW if KINDS[case] in COMMITS else before
    found = rows_of(lake)
    assert found in (sorted(before), sorted(after))
    left = orphans(lake)
    assert not set(left) & set(lake.files("publishers"))
    assert clear_orphans(lake, timedelta()) == left
    assert (orphans(lake), rows_of(lake)) == ([], found)
    missing = found != sorted(after)
    assert faulty.change(lake.root, KINDS[case]) == missing
    assert not faulty.change(lake.root, KINDS[case])
    assert (rows_of(lake), orphans(lake)) == (sorted(after), [])
    names = [found.name for found in lake.location.files("publishers")]
    assert [name for name in names if "#" in name] == []
    if case == "retention":
        assert len([name for name in names if name.endswith(".parquet")]) == len(lake.files("publishers")) == 1
    snapshot = TableLog(lake.location, "publishers").snapshot()
    assert snapshot is not None
    assert [field.name for field in snapshot.schema().fields] == SCHEMAS["publishers"].names


@EVERY
@pytest.mark.parametrize("case", KINDS)
def test_a_fault_at_any_point_leaves_the_old_version_or_the_new_one(
    case: str, every: int, tmp_path: Path, run: Run
) -> None:
    root = tmp_path / "lake"
    made(root, case)
    targets = points(run, root, KINDS[case])
    calls = {point.call for point in targets}
    assert calls >= ({"write", "openat", "rename"} if case in WRITING else {"unlink"})
    assert ("linkat" in calls) == (case not in ("checkpoint", "retention"))
    missed = []
    for point in targets[::every]:
        for fault, how in FAULTS.items():
            lake = made(root, case)
            inject = f"inject={point.call}:{how.format(point.number)}"
            ended = run(root, KINDS[case], "-P", point.path, "-e", f"trace={point.call}", "-e", inject)
            hit = ended.returncode == -9 if fault == "killed" else "(INJECTED)" in ended.trace
            missed += [] if hit else [(fault, point)]
            assert ended.returncode in ((-9, 0) if fault == "killed" else (0, 2)), (point, fault, ended.errors)
            assert ended.errors.startswith("LakeError: ") == (ended.returncode == 2), (point, ended.errors)
            require_old_or_new(lake, case)
    assert missed == []


@EVERY
@pytest.mark.parametrize("case", WRITING)
def test_a_disk_that_stays_full_is_named(case: str, every: int, tmp_path: Path, run: Run) -> None:
    root = tmp_path / "lake"
    made(root, case)
    targets = [point for point in points(run, root, KINDS[case]) if point.call == "write"]
    targets = [point for point in targets if "/_tables/" not in point.path]  # a mark may wait for the next commit
    for point in targets[::every]:
        lake = made(root, case)
        how = f"inject=write:{FAULTS['disk full'].format('1+')}"
        ended = run(root, KINDS[case], "-P", point.path, "-e", "trace=write", "-e", how)
        assert ended.returncode == 2, (point, ended.errors)
        assert "No space left on device" in ended.errors
        require_old_or_new(lake, case)
