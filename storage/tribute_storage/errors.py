"""The lake's errors. The lake does not know `tribute`, so they are a tree of their own.

A class says who can mend the fault: who asked (`LakeError`), who has a copy (`LakeDamaged`), who keeps the machine
(`LakeUnavailable`), or nobody, since the same command passes once the other one is done (`LakeConflict`).
"""

from collections.abc import Sequence
from typing import NamedTuple


class Damage(NamedTuple):
    """A file of the lake that is not as it was written.

    Attributes:
        table: whose file it is.
        file: its path under the lake's root; a folder where that is gone.
        what: what is wrong, as the rest of a sentence that begins with the file.
        remedy: what brings its rows back, in whole sentences.
    """

    table: str
    file: str
    what: str
    remedy: str


class LakeError(Exception):
    """A table, file or query of the lake cannot be used as requested. The message names the remedy."""


class LakeDamaged(LakeError):
    """A file of the lake is missing, cut, or not what was written. It has to come from a copy.

    Attributes:
        found: every file that the message is about.
    """

    found: Sequence[Damage] = ()

    @classmethod
    def of(cls, root: str, found: Sequence[Damage]) -> "LakeDamaged":
        """The error for what was found, of which it names the first, and says how many more there are."""
        first, more = found[0], len(found) - 1
        rest = f" {more:,} more files are damaged; doctor names them all." if more else ""
        where = f"Table {first.table} of {root} is damaged: {first.file} {first.what}"
        error = cls(f"{where}. {first.remedy}{rest}")
        error.found = tuple(found)
        return error


class LakeUnavailable(LakeError):
    """The lake's disk, folder or store refuses to be read or written: full, read-only, gone, forbidden."""


class LakeConflict(LakeError):
    """Another process committed first. Nothing was changed."""
