"""Digests of files: content tells whether a file changed, not its name, place or time."""

import hashlib
import json
import time
from pathlib import Path

from tribute_storage.atomic import Content, write_atomically

MISSING = "missing"
"""Stands for the digest of a file that is not there."""


def content_sha256(content: Content) -> str:
    """SHA-256 of the content of a file, hexadecimal."""
    digest = hashlib.sha256()
    for part in [content] if isinstance(content, bytes) else content:
        digest.update(part)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; `missing` if there is none."""
    if not path.is_file():
        return MISSING
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class RememberedDigests:
    """Digests of files. The digest of a large file is remembered until the file changes.

    A change is seen in the file system's record: inode, size, and the times of the last change of content and of
    inode. The latter cannot be set back. A file that changed within the last seconds is not remembered, because a
    second change could leave the same times.

    Args:
        memory: where digests are remembered. It may be deleted at any time.
        smallest: bytes from which a digest is worth remembering.
        settled: seconds without a change after which a file is remembered.
    """

    def __init__(self, memory: Path, smallest: int = 2**20, settled: float = 5.0) -> None:
        self._memory, self._smallest, self._settled = memory, smallest, settled
        self._known, self._used = self._remembered(), dict[str, list[object]]()

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file; see `file_sha256`."""
        if not path.is_file() or path.stat().st_size < self._smallest:
            return file_sha256(path)
        known, before = self.recall(path), file_record(path)
        sha256 = known or file_sha256(path)
        self.learn(path, sha256, before)
        return sha256

    def recall(self, path: Path) -> str | None:
        """The remembered digest of a file that has not changed since; None: read it."""
        match self._known.get(str(path.resolve())):
            case [str(sha256), list(record)] if record == file_record(path):
                return sha256
        return None

    def learn(self, path: Path, sha256: str, before: list[int]) -> None:
        """Remember a digest, unless the file changed lately or is not as it was `before` it was read."""
        if time.time() - max(before[2:]) / 1e9 > self._settled and file_record(path) == before:
            self._used[str(path.resolve())] = [sha256, before]

    def remember(self) -> None:
        """Keep the digests that were asked for. A folder that cannot be written to is left as it is."""
        if self._used != self._known and self._used and self._memory.parent.is_dir():
            try:
                write_atomically(self._memory, json.dumps(self._used).encode())
            except OSError:
                return

    def _remembered(self) -> dict[str, list[object]]:
        try:
            found = json.loads(self._memory.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def file_record(path: Path) -> list[int]:
    """What the file system keeps of a file and a change alters: inode, bytes, times of change in ns."""
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
