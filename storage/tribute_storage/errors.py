"""The root of the lake's errors. The lake does not know `tribute`, so its errors are a separate tree."""


class LakeError(Exception):
    """A table, file or query of the lake cannot be used as requested. The message names the remedy."""
