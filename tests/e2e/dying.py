"""Tribute commands that kill themselves: python -m tests.e2e.dying.

Every command needs a process of its own, and imports take seconds, so one process imports everything and forks.
Each line of its standard input is a JSON list: a point, and the arguments of `tribute`. The command dies by
SIGKILL just before it begins the stage, commits to the table, or gives a file the name that the point says. The
answer is the exit code, negative for a signal.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import mlflow  # noqa: F401  (the commands import it later)
import ray  # noqa: F401

from tribute_jobs import pipeline  # noqa: F401
from tribute_jobs.cli import main
from tribute_jobs.progress import JsonReporter
from tribute_storage import Lake

ROOT = Path(__file__).parents[2]


class Dying:
    """The process that forks, as its starter sees it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def killed_before(self, point: str, *arguments: object) -> bool:
        """Run a command that dies before `point`; whether it came there."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([point, *map(str, arguments)]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline()) == -signal.SIGKILL

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def die_at(point: str) -> None:
    """Let this process kill itself there."""
    append, replace, started = Lake.append, Path.replace, JsonReporter.started

    def die_before(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched_append(lake: Lake, table: str, *rest, **named) -> bool:
        die_before(table)
        return append(lake, table, *rest, **named)

    def watched_replace(path: Path, target: Path) -> Path:
        die_before(Path(target).name)
        return replace(path, target)

    def watched_started(reporter: JsonReporter, stage: str, run_id: str) -> None:
        die_before(stage)
        started(reporter, stage, run_id)

    Lake.append, Path.replace, JsonReporter.started = watched_append, watched_replace, watched_started


def fork_for_each_request() -> None:
    for request in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            point, *arguments = json.loads(request)
            die_at(point)
            sys.argv = ["tribute", *arguments]
            main()
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    fork_for_each_request()
