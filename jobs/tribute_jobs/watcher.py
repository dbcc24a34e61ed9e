"""Watches a command from outside: its end is told also where the command itself cannot tell it.

The kernel kills a process when memory runs out. Ray and other native code end one without a word. So a command
runs in a child, and its parent waits, imports nothing, and passes signals on.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from tribute_jobs.interruption import SIGNALS

ON_PARENT_DEATH = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def watched(command: Callable[[], None], tell: Callable[[int], int]) -> NoReturn:
    """Run a command in a child, and end with its exit code; the child dies with this process.

    Args:
        command: SIGINT and SIGTERM are held back in it until it calls `let_signals_come`.
        tell: called where the child said no exit code, since it was killed or native code ended it. Gets how it
            ended, negative for a signal; prints that, and returns the exit code.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _die_with_parent()
        _run(command, writer)
    for each in SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, lambda number, _: _pass_on(child, number))
    let_signals_come()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.set_blocking(reader, False)
    try:
        code = os.read(reader, 1)[0]
    except BlockingIOError:
        code = ended if ended in {128 + each for each in SIGNALS} else tell(ended)
    sys.exit(code)


def let_signals_come() -> None:
    """Stop holding back SIGINT and SIGTERM."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _run(command: Callable[[], None], writer: int) -> NoReturn:
    code = 1  # of an exception, which Python prints
    try:
        command()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise
    finally:
        os.write(writer, bytes([code]))
    sys.exit(code)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(ON_PARENT_DEATH, signal.SIGKILL)


def _pass_on(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)
