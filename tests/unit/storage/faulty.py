"""One change of `publishers`, with file names known beforehand: python -m tests.unit.storage.faulty ROOT CHANGE.

CHANGE is commit, compact or checkpoint. Exits with 2 and a line where the lake says what is wrong.
"""

import itertools
import sys
import uuid

from tests.unit.storage.rows import publisher_rows
from tribute_storage import Lake, LakeError
from tribute_storage.maintenance import checkpoint, compact

NEW = ["n1", "n2"]
NUMBERS = itertools.count(1)


def change(root: str, kind: str) -> None:
    """Make the change; raises LakeError."""
    lake = Lake(root)
    if kind == "commit":
        lake.append("publishers", "new", publisher_rows("new", NEW))
    elif kind == "compact":
        compact(lake, "publishers")
    else:
        checkpoint(lake, "publishers")


if __name__ == "__main__":
    uuid.uuid4 = lambda: uuid.UUID(int=next(NUMBERS) << 64)  # faults are aimed at files by their names
    try:
        change(sys.argv[1], sys.argv[2])
    except LakeError as error:
        print(f"LakeError: {error}", file=sys.stderr)
        sys.exit(2)
