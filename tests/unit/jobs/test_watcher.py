"""A command that cannot tell its own end: its watcher does, and passes signals and exit codes on."""

import subprocess
import sys
import time

import psutil
import pytest

from tribute_jobs.exit_codes import ExitCode
from tribute_jobs.faults import silent_end

WATCHED = """
import os, sys, time
from tribute_jobs.cli import tell
from tribute_jobs.watcher import watched
watched(lambda: {}, tell)
"""


def ended(work: str) -> tuple[int, str]:
    """Exit code and standard error of work that is watched."""
    found = subprocess.run([sys.executable, "-c", WATCHED.format(work)], capture_output=True, text=True)
    return found.returncode, found.stderr


@pytest.mark.parametrize(
    ("work", "code"), [("None", 0), ("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('x')", 1)]
)
def test_an_exit_code_is_passed_on(work: str, code: int) -> None:
    assert ended(work) == (code, "x\n" if "x')" in work else "")


def test_a_defect_shows_its_own_traceback_only() -> None:
    code, told = ended("1 / 0")
    assert code == 1 and told.endswith("ZeroDivisionError: division by zero\n") and "error:" not in told


@pytest.mark.parametrize(
    ("work", "code", "end"),
    [
        ("os.kill(os.getpid(), 9)", ExitCode.KILLED, -9),
        ("os.kill(os.getpid(), 7)", ExitCode.MACHINE, -7),
        ("os._exit(1)", ExitCode.MACHINE, 1),
        ("os._exit(0)", ExitCode.MACHINE, 0),
    ],
)
def test_an_end_without_a_word_is_told(work: str, code: int, end: int) -> None:
    assert ended(work) == (code, f"error: {silent_end(end)}\n")


def test_an_end_after_the_work_was_done_does_not_undo_it() -> None:
    """Native code may crash while Python ends."""
    assert ended("__import__('atexit').register(os.kill, os.getpid(), 11)") == (0, "")


def test_a_command_dies_with_its_watcher() -> None:
    with subprocess.Popen([sys.executable, "-c", WATCHED.format("time.sleep(60)")]) as process:
        while not (children := psutil.Process(process.pid).children()):
            time.sleep(0.01)
        time.sleep(0.5)
        process.kill()
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert gone and not alive
