"""Two commands that take turns, one step of the lake at a time, in an order that a seed decides; two that race.

A step is a reading of a table's log, or a commit to it: another process may come between any two of them. Each
command runs in a thread of its own, and only one of them runs at any time, so a seed always gives one schedule.
"""

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from tests.statements import statements
from tribute.config import load_project
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version, read_period
from tribute_storage import Lake, LakeConflict
from tribute_storage.log import TableLog


class Turns:
    """Decides which command makes the next step.

    Args:
        seed: of the order. It also draws how long one command usually goes on before the other one has its turn.
    """

    def __init__(self, seed: int, count: int) -> None:
        self._random = random.Random(seed)
        self._stay = self._random.choice((0.5, 0.8, 0.95))
        self._changed = threading.Condition()
        self._waiting, self._running = set[int](), set(range(count))
        self._turn: int | None = None

    def step(self, command: int) -> None:
        """Wait until it is this command's turn."""
        with self._changed:
            self._waiting.add(command)
            self._choose(command)
            self._changed.wait_for(lambda: self._turn == command)
            self._waiting.discard(command)
            self._turn = None

    def end(self, command: int) -> None:
        """This command makes no more steps."""
        with self._changed:
            self._running.discard(command)
            self._choose(None)

    def _choose(self, last: int | None) -> None:
        if self._running and self._waiting == self._running:
            stays = last in self._waiting and self._random.random() < self._stay
            self._turn = last if stays else self._random.choice(sorted(self._waiting))
            self._changed.notify_all()


def interleave(
    seed: int, commands: Sequence[Callable[[], Any]], patch: pytest.MonkeyPatch
) -> list[BaseException | None]:
    """Run the commands by the schedule of a seed; what each of them raised."""
    turns, raised = Turns(seed, len(commands)), list[BaseException | None]([None] * len(commands))
    command_of: dict[int, int] = {}

    def stepping(method: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **options: Any) -> Any:
            if threading.get_ident() in command_of:
                turns.step(command_of[threading.get_ident()])
            return method(*given, **options)

        return step

    def work(number: int) -> None:
        command_of[threading.get_ident()] = number
        try:
            commands[number]()
        except Exception as error:  # the test says which ones may be
            raised[number] = error
        finally:
            turns.end(number)

    with patch.context() as patched:
        for name in ("snapshot", "append"):
            patched.setattr(TableLog, name, stepping(getattr(TableLog, name)))
        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(commands))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return raised


def issue_rounds(together: Barrier, outcomes: SimpleQueue, projects: Sequence[str], name: str) -> None:
    """In a process of its own: issue the month of each project, from the same moment on as the other process.

    Puts into `outcomes`, for each project, the name of this process if its run was committed.
    """
    for path in projects:
        project = load_project(Path(path))
        period = read_period(project, "2026-10")
        made = Version(f"settle-{name}", tuple(statements("2026-10", (name,), 1)))
        together.wait()
        with suppress(LakeConflict):
            commit(Lake(project.lake_root), Settlement(made), period.basis)
            outcomes.put((path, name))
