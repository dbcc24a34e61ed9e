"""The register of tables that have had a commit: a table whose log or folder is gone is not an empty table.

`_tables/NAME` in the lake's root holds a version that the table has had, and the id that Delta gave it. It is
written after a commit, so what it says is true at every moment, whoever was killed: a table is at least as new as
that. A commit whose mark could not be written is marked by the next one, or by the check before a stage.
"""

from typing import NamedTuple

from deltalake import DeltaTable

from tribute_storage.errors import Damage
from tribute_storage.integrity.commits import FOLDER
from tribute_storage.integrity.remedies import REGISTER, remedy
from tribute_storage.location import Location


class Mark(NamedTuple):
    """A version that a table has had, and the table's id; -1 and empty where the mark cannot be read."""

    version: int
    id: str


def marked(location: Location, table: str) -> Mark | None:
    """A table's mark; None for a table that never had a commit. Raises OSError."""
    try:
        words = location.read(f"{REGISTER}/{table}").decode(errors="replace").split()
    except FileNotFoundError:
        return None
    return Mark(int(words[0]), words[1]) if len(words) == 2 and words[0].isdecimal() else Mark(-1, "")


def mark(location: Location, table: str, now: Mark) -> None:
    """Note a version of a table, unless its mark says as much. A lake that cannot be written to stays unmarked."""
    try:
        before = marked(location, table)
        if before is None or before.id != now.id or before.version < now.version:
            location.write(f"{REGISTER}/{table}", f"{now.version} {now.id}\n".encode(), lasting=False)
    except OSError:
        return


def gone(location: Location, table: str) -> list[Damage]:
    """The damage of a table that has a mark and no log; raises OSError."""
    files = location.files(table)
    left = f"of its files, {len(files):,} are left" if files else "no file of the table is left"
    what = f"is gone or empty, though rows were committed: {left}"
    return [Damage(table, f"{table}/{FOLDER}", what, remedy(table))]


def taken_back(table: str, snapshot: DeltaTable, known: Mark) -> list[Damage]:
    """The damage of a log that has lost its newest commits, or is that of another table, against an older mark."""
    if known.id and str(snapshot.metadata().id) != known.id:
        other = "is the log of another table, which was put in the place of this lake's own"
        return [Damage(table, f"{table}/{FOLDER}", other, remedy(table))]
    if snapshot.version() < known.version:
        lost = f"has lost its newest commits: it ends with version {snapshot.version()}, and had {known.version}"
        accept = f" To go on without them, delete {REGISTER}/{table}: what they held is lost."
        return [Damage(table, f"{table}/{FOLDER}", lost, remedy(table) + accept)]
    return []
