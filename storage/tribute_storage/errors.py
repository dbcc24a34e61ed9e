"""The root of tribute's error tree; it lives in the lowest layer so that every layer can raise from it."""


class TributeError(Exception):
    """Bad input or a broken promise, told so that the reader knows what to do.

    A message says what was found, what was expected and the remedy. The command line prints it without a
    traceback; programmer mistakes raise ordinary exceptions instead.
    """


class LakeError(TributeError):
    """A table, file or query of the lake is not what was asked for."""
