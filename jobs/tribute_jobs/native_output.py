"""Standard error without what native code writes there by itself: Ray's log lines and stacks, above all."""

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def python_owns_standard_error() -> Iterator[None]:
    """Let `sys.stderr` alone write to standard error during a block; descriptor 2 leads nowhere.

    Ray keeps its log in files of its own. A crash of native code still shows Python's stack.
    """
    before = sys.stderr
    if not _is_standard_error():
        yield
        return
    before.flush()
    own, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    with os.fdopen(own, "w", encoding=before.encoding, errors="backslashreplace", buffering=1) as sys.stderr:
        faulthandler.enable(sys.stderr, all_threads=False)
        try:
            yield
        finally:
            faulthandler.disable()
            os.dup2(own, 2)
            sys.stderr = before


def _is_standard_error() -> bool:
    try:
        return sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):  # there is none, or it is no file
        return False
