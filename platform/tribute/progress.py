"""Progress of long work: its figures, who receives them, and the clock that tells them.

A stage announces itself with `started`, cuts its work into parts with `working`, and counts with `advanced`.
Whoever receives this tells it at its own pace, also where the work itself says nothing for hours.
"""

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import NamedTuple, Protocol, TypeVar

import psutil

OnDone = Callable[[float, int], None]
"""Called with the finished and the total size of some work."""

Item = TypeVar("Item")

EVERY_S = 30.0
"""Seconds between two lines about long work, where no terminal shows a bar."""
WINDOW_S = 300.0
"""The rate is that of the last minutes: work that was found finished at the start says nothing of the rest."""

SAMPLE_S = 1.0
"""Seconds between the counts that the rate is taken from."""


class Reporter(Protocol):
    """Receives the progress of a run's stages."""

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """Stages whose output is kept, and why others run again: before they do."""
        ...

    def started(self, stage: str, run_id: str) -> None:
        """A stage begins to work."""
        ...

    def working(self, part: str) -> None:
        """The stage begins a part of its work, which is counted anew."""
        ...

    def advanced(self, done: float, total: int) -> None:
        """The stage has finished `done` of `total` jobs of this part."""
        ...

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """The stage's output is committed; `new` if this run committed it."""
        ...

    def warned(self, message: str) -> None:
        """Something went wrong that fails nothing."""
        ...

    def close(self) -> None:
        """Nothing more follows, whether the work was finished or not."""
        ...


class ProgressFigures(NamedTuple):
    """How far a stage is. `done` of `total` jobs of a part, None if nothing is counted; times in seconds.

    `per_minute` and `seconds_left` are None until something was finished. `memory_bytes` is what this process and
    its children hold on this machine.
    """

    stage: str
    part: str
    done: float | None
    total: int | None
    per_minute: float | None
    seconds_left: float | None
    seconds: float
    memory_bytes: int

    def text(self) -> str:
        """`14 of 24 retrains, 3.1/min, about 3 min left, 1.2 GiB`; `start of the workers, 12 s, 0.8 GiB`."""
        counted = f"{self.part or 'at work'}, {_duration(self.seconds)}"
        if self.done is not None and self.total is not None:
            done = f"{self.done:,.0f}" if self.done == int(self.done) else f"{self.done:,.1f}"
            counted = f"{done} of {self.total:,} {self.part}".strip()
        rate = [] if self.per_minute is None else [_rate(self.per_minute)]
        left = [] if self.seconds_left is None else [f"about {_duration(self.seconds_left)} left"]
        return ", ".join([counted, *rate, *left, f"{self.memory_bytes / 2**30:.1f} GiB"])


def _rate(per_minute: float) -> str:
    per, unit = (per_minute, "min") if per_minute >= 1 else (60 * per_minute, "h")
    return f"{per:,.0f}/{unit}" if per >= 100 else f"{per:.1f}/{unit}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def memory_bytes() -> int:
    """Memory of this process and its children, in bytes, without what they share with files and each other."""
    total, this = 0, psutil.Process()
    for process in (this, *this.children(recursive=True)):
        try:
            held = process.memory_info()
        except psutil.Error:  # it ended meanwhile
            continue
        total += held.rss - getattr(held, "shared", 0)
    return total


def unheard(done: float, total: int) -> None:
    """An `OnDone` that nobody listens to."""


def counted(items: Sequence[Item], on_done: OnDone) -> Iterator[Item]:
    """The items; tells how many of them were taken and done with."""
    for done, item in enumerate(items):
        on_done(done, len(items))
        yield item
    on_done(len(items), len(items))


class Ticker:
    """Calls a function every `every_s` seconds, in a thread of its own, until it is closed."""

    def __init__(self, every_s: float, call: Callable[[], None]) -> None:
        self._every_s, self._call, self._closed = every_s, call, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="tribute-progress")
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self._every_s):
            try:
                self._call()
            except OSError:  # nobody can be told; the work goes on, and meets the fault itself where it matters
                return

    def close(self) -> None:
        """Stop, after a call that has begun."""
        self._closed.set()
        if self._thread is not threading.current_thread():
            self._thread.join()


@contextmanager
def ticking(every_s: float, call: Callable[[], None]) -> Iterator[None]:
    """A `Ticker` for the length of a block."""
    ticker = Ticker(every_s, call)
    try:
        yield
    finally:
        ticker.close()


class TimedReporter(ABC):
    """The clock of a reporter: `tell` receives the figures of the stage at work every `every_s` seconds."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s, self._stage, self._part = every_s, "", ""
        self._began = 0.0
        self._ticker: Ticker | None = None
        self._counted: tuple[float, int] | None = None
        self._samples = deque[tuple[float, float]]()
        self._lock = threading.Lock()

    @abstractmethod
    def tell(self, figures: ProgressFigures) -> None:
        """Pass the figures on."""

    def started(self, stage: str, run_id: str) -> None:
        """Begin to tell the stage's figures."""
        del run_id
        self.close()
        self._stage, self._began = stage, time.monotonic()
        self.working("")
        self._ticker = Ticker(self._every_s, lambda: self.tell(self.figures()))

    def working(self, part: str) -> None:
        """Count anew."""
        with self._lock:
            self._part, self._counted = part, None
            self._samples.clear()

    def advanced(self, done: float, total: int) -> None:
        """Note how far the part is."""
        now = time.monotonic()
        with self._lock:
            if self._counted is not None and (total != self._counted[1] or done < self._counted[0]):
                self._samples.clear()
            self._counted = done, total
            if len(self._samples) > 1 and now - self._samples[-2][0] < SAMPLE_S:
                self._samples.pop()
            self._samples.append((now, done))
            while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_S:
                self._samples.popleft()

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """Stop telling."""
        del stage, run_id, new, summary
        self.close()

    def close(self) -> None:
        """Stop telling."""
        if self._ticker is not None:
            self._ticker.close()
            self._ticker = None

    def figures(self) -> ProgressFigures:
        """How far the stage is now."""
        now, memory = time.monotonic(), memory_bytes()
        with self._lock:
            done, total = self._counted or (None, None)
            rate = self._rate(now)
            left = (total - done) / rate if rate and done is not None and total is not None else None
            per_minute = 60 * rate if rate else None
            return ProgressFigures(
                self._stage, self._part, done, total, per_minute, left, now - self._began, memory
            )

    def _rate(self, now: float) -> float | None:
        """Jobs a second since the first sample of the window; None: nothing was finished in it."""
        if not self._samples:
            return None
        (then, before), (_, done) = self._samples[0], self._samples[-1]
        return (done - before) / (now - then) if done > before and now > then else None


class LateLines(TimedReporter):
    """For a program or a notebook: silent for work of seconds, then a line on standard error every `every_s`."""

    @contextmanager
    def telling(self, stage: str) -> Iterator[None]:
        """Tell how far a stage is, for the length of a block; a block inside another is a part of it."""
        if self._ticker is not None:
            yield
            return
        with closing(self):
            self.started(stage, "")
            yield

    def tell(self, figures: ProgressFigures) -> None:
        """Print the line."""
        print(f"tribute: {figures.stage}  {figures.text()}", file=sys.stderr, flush=True)

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """Nothing."""

    def warned(self, message: str) -> None:
        """Print the warning."""
        print(f"tribute: {message}", file=sys.stderr, flush=True)
