"""Faults of a machine, made for real: a full or read-only disk, a command that gets signals, files that fail.

Mounts need root and the right to mount: `may_mount` says whether this machine gives it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

STRACE = shutil.which("strace")
TRACES = ("Traceback (most recent call last)", "*** SIG", "logging.cc", "panicked at", "Fatal Python error")
"""What no one at the command line may see."""


class Ended(NamedTuple):
    """How a command ended: its exit code, what it printed, how long it took, and what it left running."""

    code: int
    out: str
    err: str
    seconds: float
    left: list[str]

    @property
    def plain(self) -> bool:
        """Whether it printed no traceback and no stack."""
        return not any(trace in self.out + self.err for trace in TRACES)


@cache
def may_mount() -> bool:
    """Whether this process may mount file systems."""
    with TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


@contextmanager
def small_disk(folder: Path, size: str = "8m") -> Iterator[Path]:
    """A file system of a size on a folder, which has to be there; see `fill`, `read_only`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Take all room of a disk but `leave` bytes, with a file that can be deleted."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        left = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, max(1, left.f_bavail * left.f_bsize - leave))
    return ballast


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """A mounted disk that can only be read for a while."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


@contextmanager
def frozen(path: Path) -> Iterator[None]:
    """A file or folder that nobody may change, not even root."""
    subprocess.run(["chattr", "+i", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def injected(calls: str, error: str, when: str = "1+", path: Path | None = None) -> list[str]:
    """The words before a command that let its system calls fail, in its threads and children too.

    Args:
        calls: such as `write,pwrite64,openat`.
        error: such as `ENOSPC`.
        when: the first call that fails, a step, a range: see `strace(1)`, `inject`.
        path: only calls on this file.
    """
    assert STRACE is not None, "strace, which injects the faults, is missing: apt-get install strace"
    aimed = ["-P", str(path)] if path else []
    return [STRACE, "-f", "-qq", "-o", os.devnull, *aimed, "-e", f"inject={calls}:error={error}:when={when}"]


def command(
    *arguments: object,
    signals: Sequence[int] = (),
    once: Callable[[], bool] | None = None,
    gap: float = 0.0,
    before: Sequence[str] = (),
    limit: float = 300.0,
    environment: dict[str, str] | None = None,
) -> Ended:
    """Run `tribute ARGUMENTS` in a process of its own, in a session of its own, and send it signals.

    Args:
        signals: sent in this order, `gap` seconds apart, as soon as `once` holds.
        before: words before the command, as of `injected`.
    """
    words = [*before, sys.executable, "-m", "tribute_jobs.cli", *map(str, arguments)]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | (environment or {}),
    )
    while once is not None and process.poll() is None and not once():
        time.sleep(0.02)
    began, children = time.monotonic(), children_of(process.pid)
    for number, sent in enumerate(signals):
        time.sleep(gap if number else 0)
        process.send_signal(sent)
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        err += f"\nended by the test after {limit} s"
    seconds = time.monotonic() - began
    _, alive = psutil.wait_procs(children, timeout=3)
    return Ended(process.returncode, out, err, seconds, [each.name() for each in alive])


def children_of(pid: int) -> list[psutil.Process]:
    """The processes that a process started, and theirs."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
