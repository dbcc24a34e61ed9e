"""SIGINT and SIGTERM: a command unwinds, says one line and ends with the exit code of the signal.

Imports nothing but the standard library, so that it watches over all other imports.
"""

import os
import select
import shlex
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asks the command to end. Libraries catch a KeyboardInterrupt themselves, but not this."""


class Interruption:
    """Watches for signals during a block.

    The first one raises `Stopped` in the main thread, so that workers end, locks are released and temporary files
    go. A second one, or `patience_s` seconds without an end, ends the process at once: a thread sees to that,
    since the main thread may be deep in other code.

    Attributes:
        signal: the signal that came; None: none yet.
    """

    def __init__(self, patience_s: float = 20.0, echo_s: float = 0.3) -> None:
        self.signal: signal.Signals | None = None
        self._patience_s, self._echo_s, self._over = patience_s, echo_s, False

    def __enter__(self) -> "Interruption":
        """Begin to watch; an ignored signal stays ignored, as under nohup."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, daemon=True, name="tribute-signals")
        self._thread.start()
        self._before = {each: signal.getsignal(each) for each in SIGNALS}
        for each, handler in self._before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(each, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back. After a signal the thread goes on, over what Python does at its exit."""
        if self.signal is not None:
            return
        for each, handler in self._before.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(-1)
        sys.unraisablehook = self._hook
        self._over = True
        os.write(self._writer, b"\0")  # wakes the thread
        self._thread.join()
        for end in (self._reader, self._writer):
            os.close(end)

    def line(self, stage: str = "") -> str:
        """What stopped, and how to go on, in one line.

        Args:
            stage: the stage at work, as in `in stage train`.
        """
        name = self.signal.name if self.signal is not None else ""
        where = f" {stage}" if stage else ""
        command = shlex.join(["tribute", *sys.argv[1:]])
        return f"stopped by {name}{where}. Finished work is kept; go on with: {command}"

    def _received(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is None:
            self.signal = signal.Signals(number)
            raise Stopped

    def _watch(self) -> None:
        while (first := self._next(None)) is None:
            if self._over:
                return
        self._first, began = first, time.monotonic()
        while (left := began + self._patience_s - time.monotonic()) > 0:
            again = self._next(left)
            if again is not None and time.monotonic() - began > self._echo_s:  # sooner, one was sent twice
                break
        self._end_now()

    def _next(self, seconds: float | None) -> signal.Signals | None:
        """The next signal of ours; None: another one, or none within these seconds."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        number = os.read(self._reader, 1)[0] if ready else 0
        return signal.Signals(number) if number in SIGNALS else None

    def _end_now(self) -> None:
        """End without unwinding: Ray and children see that their parent is gone and end too."""
        self.signal = self._first
        stream = sys.stderr.fileno()
        shown = "\x1b[?25h" if os.isatty(stream) else ""  # a bar hides the cursor
        os.write(stream, f"{shown}{self.line()}\n".encode())
        os._exit(128 + self.signal)

    def _unraisable(self, found: "UnraisableHookArgs") -> None:
        """Python drops what is raised in `__del__` and the like: the signal is sent again."""
        if found.exc_type is not Stopped:
            sys.__unraisablehook__(found)
        elif self.signal is not None:
            number, self.signal = self.signal, None
            threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
