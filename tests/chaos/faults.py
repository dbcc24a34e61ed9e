"""Faults that hit a command: each lets it run, and takes itself away again."""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.commands import Ended
from tests.chaos.script import SCRIPT, change_settings
from tests.chaos.world import World
from tests.faults import fill, read_only
from tests.fuzz.chance import Chance
from tribute_jobs.exit_codes import ExitCode

DAY_S = 86_400
NOBODY = "http://127.0.0.1:9"
"""Address at which nobody answers."""


@dataclass(frozen=True)
class Attempt:
    """A command of the script that a fault is to hit.

    Attributes:
        place: the point where; None: it is drawn.
    """

    world: World
    number: int
    folder: Path
    chance: Chance
    place: str | None = None

    def run(self, **injected: Any) -> Ended:
        """Run it; `injected`: as in `Commands.run`."""
        return self.world.commands.run(*SCRIPT[self.number].arguments(self.folder), **injected)

    def point(self, *kinds: str) -> str:
        """A point that the command passes, drawn from those of some kinds, or from all."""
        if self.place is not None:
            return self.place
        points = self.world.reference.points[self.number]
        return self.chance.of([each for each in points if not kinds or each.startswith(kinds)])

    @property
    def workdir(self) -> Path:
        """Where the project keeps all that it makes."""
        return self.folder / "tribute-data"


Fault = Callable[[Attempt], Ended]


def killed(attempt: Attempt) -> Ended:
    """The command dies by kill -9, anywhere."""
    return attempt.run(at=attempt.point(), act="SIGKILL")


def interrupted(attempt: Attempt) -> Ended:
    """Ctrl-C, anywhere."""
    return attempt.run(at=attempt.point(), act="SIGINT")


def terminated(attempt: Attempt) -> Ended:
    """SIGTERM, anywhere."""
    return attempt.run(at=attempt.point(), act="SIGTERM")


def torn_write(attempt: Attempt) -> Ended:
    """Half of a file is written, then the command dies."""
    return attempt.run(at=attempt.point("replace"), act="torn")


def lost_flush(attempt: Attempt) -> Ended:
    """A commit is done, then the power fails: the disk had said that it was flushed, but half of it was not."""
    return attempt.run(at=attempt.point("committed"), act="unflushed")


def broken_write(attempt: Attempt) -> Ended:
    """A write fails as on a broken disk."""
    return attempt.run(at=attempt.point("replace"), act="broken")


def refused_write(attempt: Attempt) -> Ended:
    """One write finds the disk full; the next would find room."""
    return attempt.run(at=attempt.point("replace"), act="full")


def slow_writes(attempt: Attempt) -> Ended:
    """Every write and commit takes a third of a second longer."""
    return attempt.run(at=0, act="slow")


def full_disk(attempt: Attempt) -> Ended:
    """The disk is full from a point on, for workers too; a few bytes may be left."""
    disk, left = attempt.world.disk, attempt.chance.of([0, 4096, 40_000])
    assert disk is not None
    try:
        return attempt.run(at=attempt.point(), meanwhile=lambda _: fill(disk, left))
    finally:
        (disk / "ballast").unlink(missing_ok=True)


def read_only_disk(attempt: Attempt) -> Ended:
    """The disk can only be read, from the start."""
    assert attempt.world.disk is not None
    with read_only(attempt.world.disk):
        return attempt.run()


def vanished_folder(attempt: Attempt) -> Ended:
    """The working folder is gone from a point on; it comes back, as a disk does that is mounted again."""
    away = attempt.folder / "away"
    ended = attempt.run(at=attempt.point("start", "commit"), meanwhile=lambda _: attempt.workdir.rename(away))
    if away.exists():
        shutil.rmtree(attempt.workdir, ignore_errors=True)
        away.rename(attempt.workdir)
    return ended


def actor_killed(attempt: Attempt) -> Ended:
    """The worker that computes dies by kill -9."""
    wait_s = attempt.chance.of([0.0, 0.3, 1.0])
    return attempt.run(
        at=attempt.point("start"), meanwhile=_soon(lambda: attempt.world.ray.kill_worker(True, 20, wait_s))
    )


def worker_killed(attempt: Attempt) -> Ended:
    """A worker of Ray that waits for work dies by kill -9."""
    return attempt.run(at=attempt.point("start"), meanwhile=_soon(lambda: attempt.world.ray.kill_worker(False, 5)))


def raylet_killed(attempt: Attempt) -> Ended:
    """Ray's node dies by kill -9; it is started again afterwards."""
    return _without(attempt, "raylet")


def gcs_killed(attempt: Attempt) -> Ended:
    """Ray's head dies by kill -9; it is started again afterwards."""
    return _without(attempt, "gcs_server")


def _without(attempt: Attempt, process: str) -> Ended:
    wait_s = attempt.chance.of([0.0, 1.0, 3.0])

    def strike() -> None:
        time.sleep(wait_s)
        attempt.world.ray.kill(process)

    try:
        return attempt.run(at=attempt.point("start"), meanwhile=_soon(strike))
    finally:
        attempt.world.ray.start()


def tracking_down(attempt: Attempt) -> Ended:
    """Nobody answers where MLflow should."""
    change_settings(attempt.folder, "tracking", enabled=True, uri=NOBODY)
    try:
        return attempt.run()
    finally:
        change_settings(attempt.folder, "tracking", enabled=False, uri=None)


def clock_jump(attempt: Attempt) -> Ended:
    """The clock is behind or ahead by hours or weeks."""
    return attempt.run(clock=attempt.chance.of([-40 * DAY_S, -3600, 3600, 40 * DAY_S]))


def _soon(strike: Callable[[], object]) -> Callable[[int], None]:
    return lambda _: threading.Thread(target=strike, daemon=True).start()


OK, DAMAGED, MACHINE = int(ExitCode.DONE), int(ExitCode.DAMAGED), int(ExitCode.MACHINE)
KILLED = int(ExitCode.KILLED)
EXPECTED: dict[Fault, tuple[int, ...]] = {
    killed: (KILLED,),
    interrupted: (int(ExitCode.INTERRUPTED),),
    terminated: (int(ExitCode.TERMINATED),),
    torn_write: (KILLED,),
    lost_flush: (KILLED,),
    broken_write: (MACHINE,),
    refused_write: (MACHINE,),
    slow_writes: (OK,),
    full_disk: (MACHINE,),
    read_only_disk: (MACHINE,),
    vanished_folder: (MACHINE, DAMAGED),
    actor_killed: (OK,),
    worker_killed: (OK,),
    raylet_killed: (MACHINE,),
    gcs_killed: (MACHINE,),
    tracking_down: (OK,),
    clock_jump: (OK,),
}
"""Exit codes that a command may have which a fault hits."""
ENDING = (killed, interrupted, terminated, torn_write, lost_flush)
"""Faults that end every command which they hit."""
ON_RAY = (actor_killed, worker_killed, raylet_killed, gcs_killed)
MOUNTED = (full_disk, read_only_disk)
WITH_RAY = ("train", "simulate", "attribute", "value", "second month", "evaluate")
"""Steps that need workers."""


def fitting(step: str, mounts: bool) -> Sequence[Fault]:
    """The faults that can hit a step."""
    return [
        fault
        for fault in EXPECTED
        if (fault not in ON_RAY or step in WITH_RAY) and (fault not in MOUNTED or mounts)
    ]


def name_of(fault: Fault) -> str:
    """The fault in words."""
    return fault.__name__.replace("_", " ")
