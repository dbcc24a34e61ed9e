"""Atomic writes: a file is complete, or not there."""

import os
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}")
"""Names of files that are being written, or that a killed process left."""


Content = bytes | Sequence[bytes | memoryview]
"""Content of a file: whole, or in parts, which need not lie beside one another in memory."""


def write_atomically(path: Path, content: Content, *, lasting: bool = True) -> None:
    """Write `content` to `path` so that a crash at any moment leaves the old file, the new one, or none.

    The bytes go to a temporary file in the same folder, are flushed to disk, and replace the file in one rename.

    Args:
        lasting: wait until the disk has it, so that it outlasts a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        temporary.replace(path)
        if lasting:
            _flush_folder(path.parent)
    except OSError as error:
        error.filename = str(path)  # a full disk names none, and a temporary name says nothing
        raise
    finally:
        with suppress(OSError):  # it is not there, or its disk can only be read by now
            temporary.unlink()


def _flush_folder(folder: Path) -> None:
    """Flush the folder too, so that a commit may name the file at once."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
