"""Changes of `publishers`, each made in a forked child: python -m tests.unit.storage.faulty.

A fault needs a process of its own, and imports take a second, so one process imports everything and forks. It
reads lines from standard input: ROOT CHANGE ERRORS, separated by tabs. CHANGE is append, widen, compact,
checkpoint or retain; ERRORS is a file for messages. It answers with the child's process id, so that a tracer can
attach. The next line starts the change, and the answer is the exit code: negative for a signal, 2 for a
`LakeError`.
"""

import itertools
import os
import sys
import traceback
import uuid
from pathlib import Path

import pyarrow as pa

from tests.unit.storage.rows import publisher_rows
from tribute_storage import SCHEMAS, Lake, LakeError
from tribute_storage.columns import TEXT, optional, table
from tribute_storage.upkeep.maintenance import checkpoint, compact, retain

NEW = ["n1", "n2"]
WIDER: pa.Schema = table(
    "a publisher",
    *list(SCHEMAS["publishers"])[1:],
    optional("note", TEXT, "a column of the next release", since=2),
    sort_by=("publisher_id",),
)


def change(root: str, kind: str) -> bool:
    """Make the change, once; whether rows were committed. Raises LakeError."""
    lake = Lake(root)
    if kind == "append":
        return lake.append("publishers", "new", publisher_rows("new", NEW))
    if kind == "widen":
        SCHEMAS["publishers"] = WIDER
        if lake.committed("publishers", "new"):
            return False
        files = [lake.stage("publishers", publisher_rows("new", [name])) for name in NEW]
        return lake.commit("publishers", "new", files)
    if kind == "compact":
        compact(lake, "publishers")
    elif kind == "checkpoint":
        checkpoint(lake, "publishers")
    else:
        retain(lake, "publishers", 0, dry_run=False)
    return False


def child(root: str, kind: str, errors: str, start: int) -> int:
    """The exit code of a change, made once something can be read from `start`."""
    os.read(start, 1)
    numbers = itertools.count(1)
    uuid.uuid4 = lambda: uuid.UUID(int=next(numbers) << 64)  # faults are aimed at files by their names
    try:
        change(root, kind)
    except LakeError as error:
        Path(errors).write_text(f"LakeError: {error}")
        return 2
    except BaseException:
        Path(errors).write_text(traceback.format_exc())
        return 1
    return 0


def main() -> None:
    """Fork a child for each request until standard input ends."""
    for request in sys.stdin:
        waits, starts = os.pipe()
        pid = os.fork()
        if pid == 0:
            os._exit(child(*request.rstrip("\n").split("\t"), waits))
        print(pid, flush=True)
        sys.stdin.readline()
        os.write(starts, b"1")
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        os.close(waits), os.close(starts)


if __name__ == "__main__":
    main()
