"""The lake's errors. The lake does not know `tribute`, so they are a tree of their own.

A class says who can mend the fault: who asked (`LakeError`), who has a copy (`LakeDamaged`), who keeps the machine
(`LakeUnavailable`), or nobody, since the same command passes once the other one is done (`LakeConflict`).
"""


class LakeError(Exception):
    """A table, file or query of the lake cannot be used as requested. The message names the remedy."""


class LakeDamaged(LakeError):
    """A file of the lake is missing, cut, or not what was written. It has to come from a copy."""


class LakeUnavailable(LakeError):
    """The lake's disk, folder or store refuses to be read or written: full, read-only, gone, forbidden."""


class LakeConflict(LakeError):
    """Another process committed first. Nothing was changed."""
