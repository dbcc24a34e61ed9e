"""Files that are checked against a recorded SHA-256 when they are read: they are what was written, or damaged.

The lake records the SHA-256 of most artifacts. Of the others it stands in `NAME.sha256` beside the file, in the
format of `sha256sum`. That is written first. While a file is replaced it names the old content too, so that a
crash at any moment leaves a whole file. A file without it, as earlier releases wrote them, is taken as it is.
"""

import hashlib
from pathlib import Path

from tribute.errors import DamagedFile
from tribute.files.digests import MISSING, file_sha256
from tribute_storage.atomic import write_atomically

SUFFIX = ".sha256"
MAKE = "tribute simulate PROJECT.yaml makes it again, to the same bytes"
"""The remedy for files of trainings and simulations."""
REMOVE = "tribute doctor PROJECT.yaml --repair"
"""The command that removes damaged files that another one makes again."""


def seal_of(path: Path) -> Path:
    """The file that holds the SHA-256 of another one."""
    return path.with_name(path.name + SUFFIX)


def sealed_by(seal: Path) -> Path:
    """The file whose SHA-256 another one holds."""
    return seal.with_name(seal.name.removesuffix(SUFFIX))


def write_sealed(path: Path, content: bytes) -> str:
    """Write a file atomically, with its SHA-256 beside it; returns the SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    known = [sha256, *recorded_digests(path)[:1]] if path.exists() else [sha256]
    write_atomically(seal_of(path), "".join(f"{each}  {path.name}\n" for each in dict.fromkeys(known)).encode())
    write_atomically(path, content)
    return sha256


def remove_sealed(path: Path) -> None:
    """Delete a file and its SHA-256, if they are there."""
    path.unlink(missing_ok=True)
    seal_of(path).unlink(missing_ok=True)


def intact(path: Path) -> bool:
    """Whether a file is there and is what was written, by the SHA-256 beside it."""
    return path.is_file() and problem_of(path, *recorded_digests(path)) is None


def require_sealed(path: Path, remedy: str = MAKE) -> None:
    """Check a file against the SHA-256 beside it; see `require_recorded`."""
    require_recorded(path, *recorded_digests(path), remedy=remedy)


def require_recorded(path: Path, *sha256: str, remedy: str = MAKE) -> None:
    """Check that a file is there and has one of the recorded digests; none: any content will do.

    Args:
        remedy: what makes the file again, as a clause; or how to restore it, as a sentence of its own.

    Raises:
        DamagedFile: the file is missing, or its SHA-256 differs.
    """
    problem = problem_of(path, *sha256)
    if problem is not None:
        raise DamagedFile(damage(path, problem, remedy))


def problem_of(path: Path, *sha256: str) -> str | None:
    """What is wrong with a file that has to have one of these digests, in words; None: nothing."""
    if not path.is_file():
        return "is missing"
    found = file_sha256(path) if sha256 else MISSING
    if not sha256 or found in sha256:
        return None
    return f"is damaged: its SHA-256 is {found[:12]}…, and {sha256[0][:12]}… was recorded"


def damage(path: Path, problem: str, remedy: str) -> str:
    """The message on a damaged file: a file that is made again has to be removed first, unless it is missing."""
    first = "" if problem == "is missing" or " makes " not in remedy else f"Remove it: {REMOVE}. Then "
    return f"{path} {problem}. {first}{remedy}"


def recorded_digests(path: Path) -> list[str]:
    """The digests beside a file, of which its content has to have one; empty without them."""
    try:
        lines = seal_of(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line.split()[0] for line in lines if line.strip()]
