"""Signals: one line, the exit code, and an end within the time."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.projects import write_project

WATCHED = """
import sys, time
from tribute_jobs.interruption import Interruption
sys.argv = ["tribute", "run", "my project.yaml"]
with Interruption(patience_s={patience}) as interruption:
    try:
        print("ready", flush=True)
        {work}
    except BaseException as error:
        {cleaning}
    print(interruption.line("in stage train"), file=sys.stderr)
    sys.exit(128 + interruption.signal)
"""
LINE = "stopped by {}{}. Finished work is kept; go on with: tribute run 'my project.yaml'\n"
DROPPED = """
        class Held:
            def __del__(self): time.sleep(1)
        held = Held(); del held; time.sleep(60)"""


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """SIGINT reaches the commands also where these tests are a background job of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def watched(
    work: str, *signals: int, cleaning: str = "pass", patience: float = 20.0, gap: float = 0.5
) -> tuple[int, str, float]:
    """Exit code, standard error and seconds of work that is sent signals."""
    code = WATCHED.format(work=work, cleaning=cleaning, patience=patience)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        began = time.monotonic()
        for number, each in enumerate(signals):
            time.sleep(gap if number else 0.05)
            process.send_signal(each)
        _, told = process.communicate(timeout=30)
    return process.returncode, told, time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_unwinds_and_says_one_line(number: signal.Signals) -> None:
    code, told, _ = watched("time.sleep(60)", number)
    assert (code, told) == (128 + number, LINE.format(number.name, " in stage train"))


def test_a_second_signal_ends_what_does_not_end() -> None:
    code, told, seconds = watched("time.sleep(60)", signal.SIGTERM, signal.SIGINT, cleaning="time.sleep(60)")
    assert (code, told) == (143, LINE.format("SIGTERM", ""))
    assert seconds < 5


def test_one_signal_that_comes_twice_at_once_still_lets_it_clean_up() -> None:
    code, told, _ = watched("time.sleep(60)", signal.SIGINT, signal.SIGINT, cleaning="time.sleep(1)", gap=0.02)
    assert (code, told) == (130, LINE.format("SIGINT", " in stage train"))


def test_a_signal_while_the_main_thread_is_deep_in_other_code_ends_it_after_the_patience() -> None:
    code, told, seconds = watched(
        "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", signal.SIGTERM, patience=1
    )
    assert (code, told) == (143, LINE.format("SIGTERM", ""))
    assert 0.9 < seconds < 5


def test_a_signal_that_python_drops_is_sent_again() -> None:
    code, told, seconds = watched(DROPPED, signal.SIGTERM)
    assert (code, told) == (143, LINE.format("SIGTERM", " in stage train"))
    assert seconds < 5


def test_an_ignored_signal_stays_ignored_as_under_nohup() -> None:
    """The second one, SIGTERM, is then the first that counts."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code, told, _ = watched("time.sleep(60)", signal.SIGINT, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, told) == (143, LINE.format("SIGTERM", " in stage train"))


def test_a_command_ends_plainly_while_it_is_imported(tmp_path: Path) -> None:
    path = write_project(tmp_path)
    words = [sys.executable, "-m", "tribute_jobs.cli", "check", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not handles(process.pid, signal.SIGTERM):
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert err == f"stopped by SIGTERM. Finished work is kept; go on with: tribute check {path}\n"


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler of a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
