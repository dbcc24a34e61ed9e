"""A process that commits, or is killed before it does: python committer.py ROOT STAMP COMMITS MODE.

MODE `own`: runs of this process alone; `shared`: the same runs as every other process; `first`: the same run, each
time as the first of a new lake; `die`: stages one file and kills itself. Prints how many commits were its own.
"""

import os
import signal
import sys
import time
from pathlib import Path

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake


def main(root: str, stamp: str, commits: int, mode: str) -> None:
    print("ready", flush=True)
    while mode != "die" and not Path(root, "go").exists():
        time.sleep(0.001)
    won = 0
    for number in range(commits):
        lake = Lake(Path(root, str(number)) if mode == "first" else root)
        run_id = f"{stamp if mode == 'own' else mode}-{number}"
        staged = lake.stage("publishers", publisher_rows(run_id, [stamp]))
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        won += lake.commit("publishers", run_id, [staged])
    print(won, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
