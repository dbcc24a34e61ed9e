"""One change of `publishers`, with file names known beforehand: python -m tests.unit.storage.faulty ROOT CHANGE.

CHANGE is append, widen, compact, checkpoint or retain. Exits with 2 and a line where the lake says what is wrong.
"""

import itertools
import sys
import uuid

import pyarrow as pa

from tests.unit.storage.rows import publisher_rows
from tribute_storage import SCHEMAS, Lake, LakeError
from tribute_storage.columns import TEXT, optional, table
from tribute_storage.maintenance import checkpoint, compact, retain

NEW = ["n1", "n2"]
NUMBERS = itertools.count(1)
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


if __name__ == "__main__":
    uuid.uuid4 = lambda: uuid.UUID(int=next(NUMBERS) << 64)  # faults are aimed at files by their names
    try:
        change(sys.argv[1], sys.argv[2])
    except LakeError as error:
        print(f"LakeError: {error}", file=sys.stderr)
        sys.exit(2)
