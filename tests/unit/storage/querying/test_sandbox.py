import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tribute_storage import LakeError
from tribute_storage.querying.sandbox import Limits, fence, run

FOREVER = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3"
UNINTERRUPTIBLE = "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))"
PATIENT = 600.0
"""Seconds that no statement here needs, even on a busy machine."""
SMALL = Limits(seconds=PATIENT, memory_gib=0.25)
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of the Linux kernel")


def open_empty(limits: Limits) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    fence(connection, {}, limits)
    return connection


def open_crashing(how: str, limits: Limits) -> duckdb.DuckDBPyConnection:
    """A child that goes wrong in some way before it answers."""
    if how == "flood":
        while True:
            os.write(2, b"x" * 2**20)
    if how == "noise":
        os.write(1, b"printed by some library\n")
        os.write(2, b"warned by some library\n")
        return open_empty(limits)
    if how == "raise":
        raise TypeError(how)
    os.kill(os.getpid(), signal.Signals[how])
    raise AssertionError(how)


def answer(sql: str, limits: Limits = SMALL) -> pa.Table:
    return run(open_empty, [], sql, limits)


def children() -> set[int]:
    """Processes of the sandbox that this one has started."""
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "answer_one"], capture_output=True, check=False)
    return {int(line) for line in found.stdout.split()}


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    yield
    assert children() == set()


@pytest.mark.parametrize("sql", [FOREVER, UNINTERRUPTIBLE])
def test_time_is_wall_clock_and_hard(sql: str) -> None:
    begin = time.monotonic()
    with pytest.raises(LakeError, match=r"ran longer than 1\.5 s and was stopped.*raise --timeout"):
        answer(sql, Limits(seconds=1.5))
    assert 1.5 <= time.monotonic() - begin < 60  # either would take hours


def test_a_time_that_no_child_can_start_in_is_told_too() -> None:
    with pytest.raises(LakeError, match=r"ran longer than 0\.001 s"):
        answer("SELECT 1", Limits(seconds=0.001))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT length(repeat('x', 2000000000))",
        "SELECT list(range) FROM range(1000000000)",
        "SELECT string_agg(repeat('x', 1000000), '') FROM range(10000)",
    ],
)
def test_memory_is_hard(sql: str) -> None:
    with pytest.raises(LakeError, match=r"needed more than 0\.25 GiB of memory.*raise --memory"):
        answer(sql)


@linux
def test_memory_that_fits_the_limit_is_there(tmp_path: Path) -> None:
    """The overhead that the address space may have beyond it is enough for DuckDB to use what it was given."""
    sort = "SELECT count(*) AS n FROM (SELECT md5(range::VARCHAR) m FROM range(500000) ORDER BY m)"
    assert answer(sort).to_pylist() == [{"n": 500_000}]
    text = "SELECT length(repeat('x', 200000000)) AS n"
    assert answer(text).to_pylist() == [{"n": 200_000_000}]
    assert list(tmp_path.iterdir()) == []


def test_an_answer_larger_than_the_limit_stops_the_child_early() -> None:
    with pytest.raises(LakeError, match=r"answer is larger than 0\.25 GiB.*raise --memory"):
        answer("FROM range(1000000000000)")  # which would take hours to send


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("SIGKILL", "was ended by signal SIGKILL before it had answered"),
        ("SIGSEGV", "was ended by signal SIGSEGV"),
        ("SIGABRT", "was ended by signal SIGABRT"),
        ("SIGXCPU", "ran longer than 3 s"),
        ("SIGSTOP", "ran longer than 3 s"),
        ("raise", "ended with code 1 before it had answered"),
        ("flood", "ran longer than 3 s"),
    ],
)
def test_a_child_that_goes_wrong_is_an_error_and_no_traceback(how: str, message: str) -> None:
    with pytest.raises(LakeError, match=message) as told:
        run(open_crashing, [how], "SELECT 1", Limits(3 if "3 s" in message else PATIENT, 0.25))
    assert "Traceback" not in str(told.value)


def test_what_a_library_prints_is_no_part_of_the_answer() -> None:
    assert run(open_crashing, ["noise"], "SELECT 1 AS a", SMALL).to_pylist() == [{"a": 1}]
    with pytest.raises(LakeError, match=r"^boom|^Invalid Input Error: boom"):
        run(open_crashing, ["noise"], "SELECT error('boom')", SMALL)


def test_a_child_killed_from_outside_is_an_error() -> None:
    def kill() -> None:
        while not (found := children()):
            time.sleep(0.01)
        time.sleep(0.5)
        os.kill(found.pop(), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(LakeError, match="was ended by signal SIGKILL"):
        answer(FOREVER)
    killer.join()


@linux
def test_a_killed_parent_leaves_no_child() -> None:
    program = f"from tests.unit.storage.querying.test_sandbox import *; answer({UNINTERRUPTIBLE!r})"
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        child = None
        while child is None:
            found = subprocess.run(["pgrep", "-P", str(parent.pid)], capture_output=True, check=False).stdout
            child = int(found) if found.strip() else None
            time.sleep(0.02)
        time.sleep(1)
        assert Path(f"/proc/{child}").exists()
        parent.kill()
    for _ in range(200):
        if not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text():
            break
        time.sleep(0.01)
    else:
        raise AssertionError("the child lives on")


@linux
@pytest.mark.parametrize(
    "change",
    [
        *("open('f', 'w')", "os.truncate('f', 0)", "os.unlink('f')", "open('new', 'w')", "os.mkdir('d')"),
        *("os.rename('f', 'g')", "os.execv('/bin/true', ['true'])"),
    ],
)
def test_the_kernel_forbids_changes_to_files_whatever_the_sql_does(change: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("kept")
    program = (
        "import os\nfrom tribute_storage.querying.sandbox import Limits, _limit_process\n"
        "_limit_process(Limits())\n"
        f"try:\n    file = {change}\n    file.write('x' * 10000)\n    file.flush()\n"
        "except OSError:\n    os._exit(7)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True)
    assert ended.returncode == 7
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"f": "kept"}


TYPES = """
SELECT * FROM (VALUES (
    1::TINYINT, 2::UBIGINT, 170141183460469231731687303715884105::HUGEINT, 1.5::FLOAT, 'nan'::DOUBLE,
    1.50::DECIMAL(38, 18), true, 'text', 'ünïcode 🦆', '\\xAA\\x00'::BLOB, DATE '2026-10-31', TIME '12:00:01.5',
    TIMESTAMP '2026-10-31 12:00:00', TIMESTAMPTZ '2026-10-31 12:00:00+02', INTERVAL 3 MONTH, [1, NULL],
    [[1], []], {'a': 1, 'b': {'c': 'x'}}, MAP {'k': 1}, 'b'::ENUM ('a', 'b'), '101'::BIT, '{"a": [1]}'::JSON,
    '00000000-0000-0000-0000-000000000001'::UUID, NULL, [1, 2]::INTEGER[2], ''
)), range(3)
"""


def test_many_types_survive_the_pipe() -> None:
    found, expected = answer(TYPES), open_empty(SMALL).sql(TYPES).to_arrow_table()
    assert found.schema == expected.schema
    assert repr(found.to_pylist()) == repr(expected.to_pylist())
    assert found.num_rows == 3


def test_an_empty_answer_keeps_its_columns() -> None:
    found = answer("SELECT 1::BIGINT AS a, 'x' AS b, [1.5::DOUBLE] AS c WHERE false")
    assert found.num_rows == 0
    assert found.schema == pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", found.schema.field("c").type)])


def test_many_rows_come_in_their_order() -> None:
    found = answer("SELECT range AS a, range % 3 = 0 AS b FROM range(1000000) ORDER BY a")
    assert found["a"].to_pylist() == list(range(1_000_000))


def test_several_queries_at_once_do_not_mix() -> None:
    found: dict[int, list[dict]] = {}
    threads = [
        threading.Thread(target=lambda n=each: found.update({n: answer(f"SELECT {n} AS n").to_pylist()}))
        for each in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {each: [{"n": each}] for each in range(4)}


def test_the_statement_is_on_no_command_line() -> None:
    seen: list[bytes] = []

    def look() -> None:
        while not (found := children()):
            time.sleep(0.01)
        seen.append(Path(f"/proc/{found.pop()}/cmdline").read_bytes())

    if sys.platform == "linux":
        watcher = threading.Thread(target=look)
        watcher.start()
        answer("SELECT 'personal'")
        watcher.join()
        assert b"answer_one" in seen[0]
        assert b"personal" not in seen[0]


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": float("nan")}, {"memory_gib": -1}])
def test_limits_are_positive(wrong: dict[str, float]) -> None:
    with pytest.raises(LakeError, match=f"limit {next(iter(wrong))} is .*; give a positive number"):
        Limits(**wrong)
