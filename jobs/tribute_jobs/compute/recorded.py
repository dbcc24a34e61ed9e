"""Files that the lake records: which of them are lost, and whether those that were made again are the same."""

from pathlib import Path

from tribute.errors import DamagedFile
from tribute.files.digests import file_sha256
from tribute.files.sealed import remove_sealed

Recorded = dict[Path, str]
"""Files with the SHA-256 that the lake records."""


def lost_files(files: Recorded) -> Recorded:
    """Those of the files that are not there."""
    return {path: sha256 for path, sha256 in files.items() if not path.is_file()}


def require_same(files: Recorded) -> None:
    """Check that files that were made again are the recorded ones; another one is removed.

    Raises:
        DamagedFile: one differs.
    """
    for path, sha256 in files.items():
        if file_sha256(path) != sha256:
            remove_sealed(path)
            raise DamagedFile(
                f"{path} was made again, and is not the file that the lake records (SHA-256 {sha256[:12]}…): "
                "another processor, or another version of a library, computes other bits. Restore it from a "
                "backup, or give this project a `workdir` of its own to start anew"
            )
