"""Files that are checked against a recorded SHA-256 when they are read: they are what was written, or damaged.

The lake records the SHA-256 of most artifacts. Of the others it stands in `NAME.sha256` beside the file, in the
format of `sha256sum`. That is written first. While a file is replaced it names the old content too, so that a
crash at any moment leaves a whole file. A file without it, as earlier releases wrote them, is taken as it is.
"""

from pathlib import Path
from typing import NamedTuple

from tribute.errors import DamagedFile
from tribute.files.digests import MISSING, content_sha256, file_sha256
from tribute_storage.atomic import Content, write_atomically

SUFFIX = ".sha256"
ABSENT = "is missing"


class Remedy(NamedTuple):
    """What brings a file back. `again`: a command makes it again, once a damaged one is removed."""

    text: str
    again: bool = True

    def of(self, problem: str) -> str:
        """The remedy for a file with this problem, see `problem_of`, in whole sentences."""
        removed = (
            "" if problem == ABSENT or not self.again else "Remove it: tribute doctor PROJECT.yaml --repair. Then "
        )
        return removed + self.text


MAKE = Remedy("tribute simulate PROJECT.yaml makes it again, to the same bytes")
"""For files of trainings and simulations."""


def seal_of(path: Path) -> Path:
    """The file that holds the SHA-256 of another one."""
    return path.with_name(path.name + SUFFIX)


def sealed_by(seal: Path) -> Path:
    """The file whose SHA-256 another one holds."""
    return seal.with_name(seal.name.removesuffix(SUFFIX))


def write_sealed(path: Path, content: Content) -> str:
    """Write a file atomically, with its SHA-256 beside it; returns the SHA-256."""
    sha256 = content_sha256(content)
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


def require_sealed(path: Path, remedy: Remedy = MAKE) -> None:
    """Check a file against the SHA-256 beside it; see `require_recorded`."""
    require_recorded(path, *recorded_digests(path), remedy=remedy)


def require_recorded(path: Path, *sha256: str, remedy: Remedy = MAKE) -> None:
    """Check that a file is there and has one of the recorded digests; none: any content will do.

    Raises:
        DamagedFile: the file is missing, or its SHA-256 differs.
    """
    problem = problem_of(path, *sha256)
    if problem is not None:
        raise DamagedFile(f"{path} {problem}. {remedy.of(problem)}")


def problem_of(path: Path, *sha256: str) -> str | None:
    """What is wrong with a file that has to have one of these digests, in words; None: nothing."""
    if not path.is_file():
        return ABSENT
    found = file_sha256(path) if sha256 else MISSING
    if not sha256 or found in sha256:
        return None
    return f"is damaged: its SHA-256 is {found[:12]}…, and {sha256[0][:12]}… was recorded"


def recorded_digests(path: Path) -> list[str]:
    """The digests beside a file, of which its content has to have one; empty without them."""
    try:
        lines = seal_of(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line.split()[0] for line in lines if line.strip()]
