"""Tribute commands in processes that faults can reach: python -m tests.chaos.commands.

Every command needs a process of its own, and imports take seconds, so one process imports everything and forks.
"""

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import tribute.cluster
import tribute.evaluation
import tribute.royalty
import tribute_jobs
from tests.chaos import points
from tests.chaos.planted import PLANTED
from tribute_jobs.cli import main, tell
from tribute_jobs.watcher import watched

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
"""A command that takes longer hangs."""
SERVICE = "tribute_jobs.service"
"""What commands load when they need it. Beside everything else it keeps DuckDB's types, and says so at exit."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code, negative for a signal that ended it.
        points: what it passed, as `points.Watch` names it.
        reached: whether it came to the point where something was to happen to it.
    """

    arguments: tuple[str, ...]
    code: int
    out: str
    errors: str
    points: tuple[str, ...]
    reached: bool
    seconds: float
    hung: bool
    stem: Path
    """Of the files that the command's watch left; see `points.Watch`."""

    @property
    def said(self) -> str:
        """Both streams."""
        return self.out + self.errors


class Commands:
    """The process that forks, as its starter sees it.

    Args:
        folder: for the streams of the commands.
        environment: of the commands.
        plant: a mistake in the product; see `planted`.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, plant: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._number = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, plant],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | dict(environment or {}),
        )

    def run(
        self,
        *arguments: object,
        at: str | int | None = None,
        act: str = "pause",
        meanwhile: Callable[[int], None] | None = None,
        **settings: Any,
    ) -> Ended:
        """Run `tribute` with some arguments to its end.

        Args:
            at: point where it acts or something happens to it; see `points.Watch`.
            act: what it does there.
            meanwhile: called with the process id while the command waits at its point, which it leaves afterwards;
                without a point, as soon as it runs.
            settings: `clock`: seconds that its clock is off; `environment`: more of it.
        """
        self._number += 1
        stem = self.folder / f"{self._number:04d}"
        log, began = stem.with_suffix(".points"), time.monotonic()
        texts = tuple(map(str, arguments))
        pid = int(self._ask(arguments=texts, stem=str(stem), at=at, act=act, **settings))
        timer = threading.Timer(PATIENCE_S, end_session, [pid])
        timer.start()
        waiter = threading.Thread(target=self._meanwhile, args=(pid, log, at, meanwhile), daemon=True)
        if meanwhile is not None:
            waiter.start()
        code = int(self._ask(wait=pid))
        timer.cancel()
        if meanwhile is not None:
            log.with_suffix(".ended").touch()
            waiter.join()
        points = tuple(log.read_text().split("\n")[:-1]) if log.exists() else ()
        out, errors = (stem.with_suffix(end).read_text(errors="replace") for end in (".out", ".err"))
        reached = at is None or (at in points if isinstance(at, str) else len(points) > at)
        seconds = time.monotonic() - began
        return Ended(texts, code, out, errors, points, reached, seconds, seconds > PATIENCE_S, stem)

    def _meanwhile(self, pid: int, log: Path, at: str | int | None, act: Callable[[int], None]) -> None:
        try:
            while at is not None and not log.with_suffix(".paused").exists():
                if log.with_suffix(".ended").exists():
                    return
                time.sleep(0.005)
            act(pid)
        finally:
            log.with_suffix(".go").touch()

    def _ask(self, **request: Any) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._process.stdout.readline()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def end_session(pid: int) -> None:
    """Kill a command that hangs: it dies with the process that watches it."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def fork_for_each_request() -> None:
    """Answer a request to run with the process id, a request to wait with the exit code."""
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            become(**request)
        print(answer, flush=True)


def become(
    arguments: list[str],
    stem: str,
    at: str | int | None,
    act: str,
    clock: float = 0,
    environment: Mapping[str, str] | None = None,
) -> NoReturn:
    """Be a command, and end with it as a process of its own would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment or {})
    for descriptor, end in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(stem + end, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["tribute", *arguments]

    def command() -> None:
        os.setsid()
        points.watch(points.Watch(Path(stem + ".points"), at, act))
        if clock:
            points.turn_clock(clock)
        main()

    watched(command, tell)


if __name__ == "__main__":
    import mlflow  # noqa: F401  (the commands import it later)

    for package in (tribute_jobs, tribute.cluster, tribute.evaluation, tribute.royalty):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and not module.name.startswith(SERVICE):
                importlib.import_module(module.name)
    if sys.argv[1]:
        PLANTED[sys.argv[1]]()
    fork_for_each_request()
