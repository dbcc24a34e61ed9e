"""What an error of a file system, an object store, Delta, Arrow or DuckDB means for the one who asked."""

import errno
import os
import re

from tribute_storage.errors import LakeError, LakeUnavailable

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
BROKEN = {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EMFILE, errno.ENFILE}
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
    numbers |= {number for number in FULL | FORBIDDEN | BROKEN if os.strerror(number) in text}
    if numbers & FULL:
        return "Make room there, then run the same command again."
    if numbers & FORBIDDEN:
        return "Let this user read and write there, then run the same command again."
    if numbers & BROKEN:
        return "Mend the disk or the mount, then run the same command again."
    if not isinstance(error, FileNotFoundError) and _STORE.search(text):
        return (
            "Check the network, AWS_ENDPOINT_URL, AWS_REGION, the bucket's name and the credentials "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), then run the same command again."
        )
    return None


def fault(what: str, error: BaseException, remedy: str) -> LakeError:
    """The error to raise: `LakeUnavailable` if the machine or the store refused, else a `LakeError`.

    Args:
        what: the beginning of the message, what could not be done and where.
        remedy: for an error of another kind.
    """
    mended = refusal(error)
    kind = LakeError if mended is None else LakeUnavailable
    return kind(f"{what}: {said(error)}. {mended or remedy}")
