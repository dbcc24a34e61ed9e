"""Points that a command passes, and what may happen to it there. They are watched inside its own process."""

import errno
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from tribute_jobs.progress import JsonReporter, PeopleReporter
from tribute_storage import Lake

SLOW_S = 0.3
RANDOM = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}(?=\.parquet)")
STARTED, BEFORE, AFTER, REPLACES = "start", "commit", "committed", "replace"


class Watch:
    """Counts the points of a command, writes their names to a file, and acts at one of them.

    A point is named by what happens and to what: `start:train`, `commit:queries`, `committed:queries`,
    `replace:bundle.json`; a point that is passed again has a number, as in `commit:simulations#2`.

    Args:
        log: file of the names, a line each.
        at: name or number (from 0) of the point; None: none.
        act: a signal's name, or one of
            `pause`: wait until a file LOG.go is there;
            `torn`: die when half of a file is written that has no name yet;
            `unflushed`: die after a commit, of which half is lost: LOG.cut names its file, LOG.whole is a copy;
            `full`, `broken`: the call fails as on a full disk, or a broken one;
            `slow`: every call from here on takes longer.
    """

    def __init__(self, log: Path, at: str | int | None, act: str) -> None:
        self._log, self._at, self._act = log, at, act
        self._passed, self._times, self._slow = 0, Counter[str](), False

    def passed(self, name: str, written: Path | None = None) -> None:
        """Note a point; act where it is the one.

        Args:
            written: the file whose content or name is at stake.
        """
        if threading_elsewhere():
            return
        self._times[name] += 1
        named = name if self._times[name] == 1 else f"{name}#{self._times[name]}"
        number, self._passed = self._passed, self._passed + 1
        with self._log.open("a") as log:
            log.write(f"{named}\n")
        if self._slow:
            time.sleep(SLOW_S)
        if self._at in (named, number):
            self._happen(written)

    def _happen(self, written: Path | None) -> None:
        if self._act == "pause":
            self._log.with_suffix(".paused").touch()
            while not self._log.with_suffix(".go").exists():
                time.sleep(0.005)
        elif self._act == "slow":
            self._slow = True
        elif self._act in ("full", "broken"):
            number = errno.ENOSPC if self._act == "full" else errno.EIO
            raise OSError(number, os.strerror(number), str(written or self._log))
        elif self._act in ("torn", "unflushed"):
            if written is not None:
                shutil.copyfile(written, self._log.with_suffix(".whole"))
                self._log.with_suffix(".cut").write_text(str(written))
                cut(written)
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._act:
            os.kill(os.getpid(), signal.Signals[self._act])


def threading_elsewhere() -> bool:
    """Whether this process is another one than the command's own, such as a fork of it."""
    return os.getpid() != os.getsid(0)


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    os.truncate(path, path.stat().st_size // 2)


def watch(watch: Watch) -> None:
    """Let the product's own functions tell a watch when they are called."""
    commit, replace = Lake.commit, Path.replace

    def watched_commit(lake: Lake, table: str, *rest: Any, **named: Any) -> bool:
        watch.passed(f"{BEFORE}:{table}")
        done = commit(lake, table, *rest, **named)
        watch.passed(f"{AFTER}:{table}", newest_commit(lake, table))
        return done

    def watched_replace(path: Path, target: Path) -> Path:
        target = Path(target)
        name = RANDOM.sub("x", target.name)
        watch.passed(f"{REPLACES}:{target.parent.name + '/' if '.parquet' in name else ''}{name}", path)
        return replace(path, target)

    Lake.commit, Path.replace = watched_commit, watched_replace  # type: ignore[method-assign, assignment]
    for reporter in (JsonReporter, PeopleReporter):
        watch_reporter(reporter, watch)


def watch_reporter(reporter: type, watch: Watch) -> None:
    started = reporter.started

    def watched_started(self: Any, stage: str, *rest: Any, **named: Any) -> None:
        watch.passed(f"{STARTED}:{stage}")
        started(self, stage, *rest, **named)

    reporter.started = watched_started  # type: ignore[attr-defined]


def newest_commit(lake: Lake, table: str) -> Path | None:
    """The newest file of a table's log."""
    commits = sorted(Path(lake.location.path(table), "_delta_log").glob("*.json"))
    return commits[-1] if commits else None


def turn_clock(seconds: float) -> None:
    """Let the clock of this process be off by some seconds, wherever the product asks for the time."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)

    class Turned(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=seconds)

    for name, module in list(sys.modules.items()):
        if name.startswith(("tribute", "filelock")) and getattr(module, "datetime", None) is datetime:
            module.datetime = Turned  # type: ignore[attr-defined]
