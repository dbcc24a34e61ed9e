"""What an error of a file system, an object store, Delta, Arrow or DuckDB means, and its remedy."""

import errno
import os
import re

from tribute_storage.errors import LakeError, LakeUnavailable

REFUSALS = {
    errno.ENOSPC: ("there is no room left on the disk", "Make room there"),
    errno.EDQUOT: ("the disk quota is used up", "Make room there, or ask for a larger quota"),
    errno.EFBIG: ("the file would be larger than this machine allows", "Raise the limit (`ulimit -f`)"),
    errno.EROFS: ("the disk can only be read", "Mount it for writing, or choose another folder"),
    errno.EACCES: ("user {user} has no permission", "Give this user the right to read and write there"),
    errno.EPERM: (
        "user {user} is not allowed to change it",
        "Give this user the right to read and write there, or lift the protection that lsattr shows",
    ),
    errno.EIO: ("the disk failed", "Look at the system's log, and mend or replace the disk"),
    errno.ENODEV: ("the device is gone", "Connect the disk, and mount it again"),
    errno.ENXIO: ("the device is gone", "Connect the disk, and mount it again"),
    errno.ESTALE: ("the network folder was lost", "Mount it again"),
    errno.ENOTCONN: ("the network folder was lost", "Mount it again"),
    errno.EMFILE: ("too many files are open in this process", "Raise the limit (`ulimit -n`)"),
    errno.ENFILE: ("too many files are open on this machine", "End other programs"),
}
"""What an error number of a disk means, and its remedy. That a file is missing is no refusal: it is damage."""
STORE = (
    "Check the network, AWS_ENDPOINT_URL, AWS_REGION, the bucket's name and the credentials (AWS_ACCESS_KEY_ID, "
    "AWS_SECRET_ACCESS_KEY)"
)
AGAIN = "then run the same command again"
_NUMBER = re.compile(r"(?:os error|errno:?) (\d+)", re.IGNORECASE)
_STORE = re.compile(
    r"generic (?!local)\w+ error|aws error|error sending request|dispatch failure|network_connection|timed? ?out|"
    r"connection (?:refused|reset)|credential|access ?denied|nosuchbucket",
    re.IGNORECASE,
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"\s*\d+: .*|\s*at .*:\d+:\d+|stack backtrace:.*")
LONGEST = 300
"""Characters of another library's message that are shown."""


def said(error: BaseException) -> str:
    """What another library said, in one line: without colours, stack frames and a full stop at its end."""
    lines = [line for line in _COLOUR.sub("", str(error)).split("\n") if not _FRAME.fullmatch(line)]
    text = " ".join(" ".join(lines).replace("\u21b3", "").split())
    return (text if len(text) <= LONGEST else f"{text[:LONGEST]}...").rstrip(".") or type(error).__name__


def refusal(error: BaseException) -> str | None:
    """What to do about an error of the machine or the store; None if it is none."""
    text, numbers = str(error), {error.errno} if isinstance(error, OSError) else set()
    numbers |= {int(number) for number in _NUMBER.findall(text)}
    remedies = [
        remedy for number, (_, remedy) in REFUSALS.items() if number in numbers or os.strerror(number) in text
    ]
    if not isinstance(error, FileNotFoundError) and _STORE.search(text):
        remedies.append(STORE)
    return f"{remedies[0]}, {AGAIN}." if remedies else None


def fault(what: str, error: BaseException, remedy: str) -> LakeError:
    """The error to raise: `LakeUnavailable` if the machine or the store refused, else a `LakeError`.

    Args:
        what: the beginning of the message, what could not be done and where.
        remedy: for an error of another kind.
    """
    mended = refusal(error)
    kind = LakeError if mended is None else LakeUnavailable
    return kind(f"{what}: {said(error)}. {mended or remedy}")
