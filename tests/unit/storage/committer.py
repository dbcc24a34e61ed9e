"""What a process does that races for `publishers` with others, or dies at it.

Mode `own`: runs of this process alone, of several files each; `shared`: the same runs as every other process;
`first`: the same run, each time as the first of a new lake; `die`: stages one file and kills itself; `compact` and
`read`: over and over until ROOT/done is there.
"""

import os
import signal
from collections import Counter
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake, open_tables
from tribute_storage.upkeep.maintenance import compact

FILES = 3


def compete(together: Barrier, counts: SimpleQueue, root: str, stamp: str, commits: int, mode: str) -> None:
    """Put into `counts` the stamp and how many commits, compactions or readings it came to."""
    together.wait()
    work = {"compact": compacting, "read": reading}.get(mode)
    counts.put((stamp, work(root) if work else committing(root, stamp, commits, mode)))


def committing(root: str, stamp: str, commits: int, mode: str) -> int:
    """Commit runs; how many of them this process committed."""
    won = 0
    for number in range(commits):
        lake = Lake(Path(root, str(number)) if mode == "first" else root)
        run_id = f"{stamp if mode == 'own' else mode}-{number}"
        rows = [publisher_rows(run_id, [f"{stamp}.{part}"]) for part in range(FILES if mode == "own" else 1)]
        staged = [lake.stage("publishers", part) for part in rows]
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        won += lake.commit("publishers", run_id, staged)
    return won


def compacting(root: str) -> int:
    """Join whatever files there are; how many compactions found something to join."""
    done = 0
    while not Path(root, "done").exists():
        found = compact(Lake(root), "publishers", target_rows=200)
        done += found.after < found.before
    return done


def reading(root: str) -> int:
    """Every run is seen whole or not at all, and stays; how many readings saw a new one."""
    seen, grown = 0, 0
    while not Path(root, "done").exists():
        with open_tables(root, "publishers") as connection:
            rows = connection.execute("SELECT run_id, publisher_id FROM publishers").fetchall()
        assert set(Counter(run_id for run_id, _ in rows).values()) <= {FILES}, "a run in part"
        assert len(set(rows)) == len(rows), "a row twice"
        assert len(rows) >= seen, "rows that went away"
        grown += len(rows) > seen
        seen = len(rows)
    return grown
