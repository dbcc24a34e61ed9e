"""How far the run in a working folder is: written by the run, read by `tribute status`.

A run keeps one small file, which goes when its stage ends. What is left of a killed run says where it stopped.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psutil
from filelock import FileLock, Timeout

from tribute.progress import ProgressFigures, TimedReporter

FILE, LOCK = "running.json", ".lock"
EVERY_S = 3.0
"""Seconds between two versions of the file."""


class RunningFile(TimedReporter):
    """Keeps the file of a working folder, for the process that holds the folder's lock."""

    def __init__(self, workdir: Path, every_s: float = EVERY_S) -> None:
        super().__init__(every_s)
        self._path, self._since = workdir / FILE, 0.0

    def started(self, stage: str, run_id: str) -> None:
        """Write the file."""
        self._since = time.time()
        super().started(stage, run_id)
        self.tell(self.figures())

    def tell(self, figures: ProgressFigures) -> None:
        """Write the file: whole, or as it was. It is not flushed to disk, since no result rests on it."""
        content = figures._asdict() | {"since": self._since, "at": time.time(), "process": os.getpid()}
        temporary = self._path.with_name(f".{FILE}")
        temporary.write_text(json.dumps(content))
        temporary.replace(self._path)

    def finished(self, stage: str, run_id: str, new: bool, summary: str) -> None:
        """Remove the file."""
        super().finished(stage, run_id, new, summary)
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Write where an unfinished stage stopped, unless that is impossible."""
        if self._ticker is not None:
            super().close()
            with suppress(OSError):
                self.tell(self.figures())

    def planned(self, kept: Sequence[str], again: Mapping[str, str]) -> None:
        """Nothing."""

    def warned(self, message: str) -> None:
        """Nothing."""


class RunningStage(NamedTuple):
    """The stage that a run is at, or stopped at; `since` and `at` (of the figures) are seconds of the epoch."""

    figures: ProgressFigures
    since: float
    at: float
    process: int
    running: bool

    def text(self) -> str:
        """What `tribute status` says of the stage."""
        if self.running:
            return f"running, {self.figures.text()}, since {_clock(self.since)}, process {self.process}"
        done, total, part = self.figures.done, self.figures.total, self.figures.part
        counted = "" if done is None else f" at {done:,.0f} of {total:,} {part}".rstrip()
        return f"stopped{counted} at {_clock(self.at)}; run the same command again"

    def fields(self) -> dict[str, object]:
        """The same for programs."""
        state = "running" if self.running else "stopped"
        moments = {"since": _iso(self.since), "at": _iso(self.at), "process": self.process}
        return {"state": state} | self.figures._asdict() | moments


def running_stage(workdir: Path) -> RunningStage | None:
    """The stage that a run in this folder is at, or stopped at; None if there is none."""
    try:
        content = json.loads((workdir / FILE).read_bytes())
        figures = ProgressFigures(**{name: content[name] for name in ProgressFigures._fields})
        since, at, process = float(content["since"]), float(content["at"]), int(content["process"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or not as it was written
        return None
    return RunningStage(figures, since, at, process, _held(workdir) and psutil.pid_exists(process))


def _held(workdir: Path) -> bool:
    """Whether a command holds the folder's lock."""
    lock = FileLock(workdir / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # not ours to lock: nobody could run here either
        return False
    lock.release()
    return False


def _clock(moment: float) -> str:
    """Hour and minute on this machine's clock; with the day, if that is another."""
    then = datetime.fromtimestamp(moment)
    return f"{then:%H:%M}" if then.date() == datetime.now().date() else f"{then:%Y-%m-%d %H:%M}"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds")
