"""Processes of a service killed under load, and what its clients were promised compared with the lake."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import httpx
import psutil

from tests.benchmarks.serving.fleet import Acknowledged, Fleet, logged
from tests.chaos.ray_cluster import title
from tribute.config import Project
from tribute_storage import Lake

VICTIMS = {
    "attributor": "ray::ServeReplica:{name}:Attributor",
    "writer": "ray::ServeReplica:{name}:Writer0",
    "ingress": "ray::ServeReplica:{name}:Web",
    "service": "ray::ServeReplica:{name}:Service",
    "reporter": "ray::ServeReplica:{name}:Reporter",
    "proxy": "ray::ProxyActor",
}
"""What is killed, and how the titles of its processes begin."""
IN_PARTS, WHOLE = ("attributor", "writer", "ingress", "proxy"), ("service", "reporter", "proxy")
"""Processes of a service whose parts are apart, and of one whose parts are together."""
PAUSE_S = 0.1, 2.5
"""Least and longest time from a recovery to the next kill."""
PATIENCE_S = 180.0


class Kill(NamedTuple):
    """A process that was killed, and seconds until a request that was sent later was answered with 200."""

    victim: str
    recovery_s: float


@dataclass
class Verdict:
    """What the lake holds of what was acknowledged.

    Attributes:
        lost: acknowledged ids that are not in `queries`, or lack influences.
        doubled: ids that are in `queries` more than once, or have more influences than there are.
        foreign: ids in the lake that nobody sent.
    """

    acknowledged: int
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@contextmanager
def sailing(fleet: Fleet) -> Iterator[None]:
    """A fleet in a process of its own; at the end, every request of it is acknowledged."""
    Path(fleet.log).touch()
    command = [sys.executable, "-m", "tests.benchmarks.serving.fleet"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(fleet) + "\n")
    process.stdin.flush()
    try:
        yield
        process.stdin.close()
        if process.wait(timeout=2 * PATIENCE_S):
            raise RuntimeError("The clients failed, see above")
    finally:
        process.kill()
        process.wait()


def killed(fleet: Fleet, project: Project, victims: list[str], seed: int) -> Iterator[Kill]:
    """Kill processes of the service one after the other, each at a random moment after the last recovery.

    Raises:
        TimeoutError: the service did not come back.
    """
    rng = random.Random(seed)
    for victim in victims:
        time.sleep(rng.uniform(*PAUSE_S))
        process = _process(VICTIMS[victim].format(name=project.name))
        began = time.monotonic()
        process.send_signal(signal.SIGKILL)
        yield Kill(victim, _first_after(fleet, began).ended - began)


def drained(base: str, period: str) -> dict[str, Any]:
    """Bring everything to the lake, by a report on a period; the report."""
    ordered = httpx.post(f"{base}/v1/reports", json={"period": period}, timeout=None)
    ordered.raise_for_status()
    while True:
        found: dict[str, Any] = httpx.get(f"{base}{ordered.headers['location']}", timeout=None).json()
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(0.1)


def judged(log: str, project: Project, influences: int) -> Verdict:
    """Compare a log with the files of the lake: no view lies between.

    Args:
        influences: of each query: sources times replicates.
    """
    acknowledged = {name for each in logged(log) for name in each.ids}
    lake, verdict = Lake(project.lake_root), Verdict(len(acknowledged))
    rows = _counted(lake, "queries", "true")
    parts = _counted(
        lake, "influence", f"query_id in (select query_id from read_parquet({lake.files('queries')}))"
    )
    own = {name: number for name, number in rows.items() if name.partition("-")[0] in _fleets(acknowledged)}
    verdict.lost = [name for name in acknowledged if not rows[name] or parts[name] < influences]
    verdict.doubled = [name for name, number in own.items() if number > 1 or parts[name] > influences]
    verdict.foreign = [name for name in own if name not in acknowledged]
    return verdict


def _fleets(ids: set[str]) -> set[str]:
    return {name.partition("-")[0] for name in ids}


def _counted(lake: Lake, table: str, condition: str) -> Counter[str]:
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select query_id, count(*) from read_parquet({lake.files(table)}) where {condition} group by all"
        ).fetchall()
    return Counter(dict(found))


def _process(beginning: str) -> psutil.Process:
    """A process of this Ray session whose title begins so; waits for it."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = [each for each in psutil.Process().children(recursive=True) if title(each).startswith(beginning)]
        if found:
            return found[0]
        time.sleep(0.02)
    raise TimeoutError(f"No process {beginning} in {PATIENCE_S:.0f} s")


def _first_after(fleet: Fleet, moment: float) -> Acknowledged:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        answered = [each for each in logged(fleet.log) if each.sent > moment]
        if answered:
            return min(answered, key=lambda each: each.ended)
        time.sleep(0.05)
    raise TimeoutError(f"No answer {PATIENCE_S:.0f} s after a kill")
