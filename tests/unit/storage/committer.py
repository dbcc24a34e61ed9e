"""A process at work on `publishers`, or one that is killed: python committer.py ROOT STAMP COMMITS MODE.

MODE `own`: runs of this process alone, of several files each; `shared`: the same runs as every other process;
`first`: the same run, each time as the first of a new lake; `die`: stages one file and kills itself; `compact` and
`read`: over and over until ROOT/done is there. Prints how many commits, compactions or readings it came to.
"""

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake, connect
from tribute_storage.maintenance import compact

FILES = 3


def main(root: str, stamp: str, commits: int, mode: str) -> None:
    print("ready", flush=True)
    while mode != "die" and not Path(root, "go").exists():
        time.sleep(0.001)
    if mode in ("compact", "read"):
        print({"compact": compacting, "read": reading}[mode](root), flush=True)
        return
    won = 0
    for number in range(commits):
        lake = Lake(Path(root, str(number)) if mode == "first" else root)
        run_id = f"{stamp if mode == 'own' else mode}-{number}"
        rows = [publisher_rows(run_id, [f"{stamp}.{part}"]) for part in range(FILES if mode == "own" else 1)]
        staged = [lake.stage("publishers", part) for part in rows]
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        won += lake.commit("publishers", run_id, staged)
    print(won, flush=True)


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
        with connect(root) as connection:
            rows = connection.execute("SELECT run_id, publisher_id FROM publishers").fetchall()
        assert set(Counter(run_id for run_id, _ in rows).values()) <= {FILES}, "a run in part"
        assert len(set(rows)) == len(rows), "a row twice"
        assert len(rows) >= seen, "rows that went away"
        grown += len(rows) > seen
        seen = len(rows)
    return grown


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
