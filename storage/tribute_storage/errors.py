"""The root of the lake's errors: the lake knows nothing of `tribute`, so its errors are a tree of their own."""


class LakeError(Exception):
    """A table, file or query of the lake is not what was asked for. The message names the remedy."""
