"""What the machine refused, in plain words: the one place where an error of a library or the system is translated.

A fault of the machine becomes a `MachineError`. Any other exception is a defect, or has its own words already.
"""

import errno
import getpass
import os
import re
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from tribute.errors import AGAIN, MachineError
from tribute_storage import refusals

REFUSALS = refusals.REFUSALS | {
    errno.ENOENT: ("it is not there", "Put it back, or mount its disk again"),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", "Move that file away"),
    errno.EISDIR: ("it is a folder, not a file", "Move that folder away"),
    errno.EAGAIN: (
        "no more processes or threads can start",
        "End other programs, or raise the limit (`ulimit -u`)",
    ),
    errno.ENOMEM: ("there is not enough memory", "End other programs, or lower cluster.workers"),
    errno.ENAMETOOLONG: ("the path is too long", "Choose a folder with a shorter path"),
    errno.EADDRINUSE: ("the address is in use", "End the program that uses it, or choose another port"),
    errno.ECONNREFUSED: ("nobody answers at the address", "Start the service, or mend the address"),
    errno.ECONNRESET: ("the connection was lost", "Start the service"),
    errno.ETIMEDOUT: ("no answer came in time", "Mend the network, or start the service"),
    errno.EHOSTUNREACH: ("the host cannot be reached", "Mend the network"),
    errno.ENETUNREACH: ("the network cannot be reached", "Mend the network"),
}
"""What an error number of the system means, and its remedy: those of the lake's disk, and more."""
MORE_MEMORY = (
    f"End other programs, or lower cluster.workers, simulation.memory_gib and readout.memory_gib, {AGAIN}"
)
MEMORY = f"Memory ran out. {MORE_MEMORY}"
NO_TEMPORARY = (
    "No folder for temporary files can be written to. Make room in /tmp, or set TMPDIR to a folder that this user "
    f"can write to, {AGAIN}"
)
WORDS = {
    "database or disk is full": errno.ENOSPC,
    "readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
    "Out of Memory Error": errno.ENOMEM,
    "can't allocate memory": errno.ENOMEM,
    "can't start new thread": errno.EAGAIN,
    "OutOfDiskError": errno.ENOSPC,
    "Local disk is full": errno.ENOSPC,
} | {os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE)}
"""How libraries put such an error in their own messages."""
_RUST = re.compile(r"\(os error (\d+)\)")
_PATH = re.compile(r"['\"`(\s](/[^'\"`\n:)]+)")
STAGE = "in stage "
"""The beginning of the note that an exception carries."""


class OutputClosed(Exception):
    """The program that read standard output has closed it."""


@contextmanager
def stage_at_work(stage: str) -> Iterator[None]:
    """Let an exception carry the stage that it ended."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{STAGE}{stage}")
        raise


def stage_of(error: BaseException) -> str:
    """The stage that an exception ended; empty: none."""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(STAGE)]
    return notes[0].removeprefix(STAGE) if notes else ""


class Commands(TyperGroup):
    """The group of all commands: faults of the machine leave it as `MachineError`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _output_is_closed():
                raise OutputClosed from None
            if (plain := machine_error(error)) is not None:
                raise plain from error
            raise


def silent_end(ended: int) -> str:
    """What ended a process that could not say so.

    Args:
        ended: exit code, negative for a signal.
    """
    if ended == -signal.SIGKILL:
        return f"The command was killed (SIGKILL), mostly because memory ran out. {MORE_MEMORY}"
    how = f"signal {signal.Signals(-ended).name}" if ended < 0 else f"exit code {ended}"
    return (
        f"Ray or another library ended the command at once ({how}). Look at the Ray cluster, the memory, the disk "
        f"and /dev/shm, {AGAIN}"
    )


def _output_is_closed() -> bool:
    """Whether nobody reads standard output: a broken pipe may also be one to a worker or a server."""
    watched = select.poll()
    watched.register(sys.stdout.fileno(), 0)  # errors are always told
    return bool(watched.poll(0))


def machine_error(error: BaseException) -> MachineError | None:
    """The fault of the machine behind an error that has no plain words yet; None: there is none.

    Looks at the error, what caused it, and what a worker raised.
    """
    for each in _causes(error):
        if isinstance(each, MachineError):
            return each
        if isinstance(each, MemoryError):
            return MachineError(MEMORY)
        if "No usable temporary directory" in str(each):
            return MachineError(NO_TEMPORARY)
        if (number := _number(each)) is not None:
            return MachineError(_sentence(number, each, stage_of(error)))
        if type(each).__module__ == "ray.exceptions" and not hasattr(each, "cause"):
            return MachineError(_ray(each, stage_of(error)))
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what is behind it; a message that is plain already hides what it was made from."""
    while error is not None:
        yield error
        worker = getattr(error, "cause", None)  # of a RayTaskError
        error = worker if isinstance(worker, BaseException) else error.__cause__


def _number(error: BaseException) -> int | None:
    text = str(error)
    if isinstance(error, OSError) and error.errno in REFUSALS:
        return error.errno
    if (found := _RUST.search(text)) and int(found[1]) in REFUSALS:
        return int(found[1])
    return next((number for words, number in WORDS.items() if words in text), None)


def _sentence(number: int, error: BaseException, stage: str) -> str:
    if number == errno.ENOMEM:
        return MEMORY
    what, remedy = REFUSALS[number]
    where = f" (stage {stage})" if stage else ""
    what = what.format(user=getpass.getuser())
    return f"{_place(number, error)}: {what}{where}. {remedy}, {AGAIN}"


def _place(number: int, error: BaseException) -> str:
    """The path of the error; where it names none, the disks that are full, or what the library said."""
    if isinstance(error, OSError) and error.filename is not None:
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name not in (None, -1)]
        return " or ".join(dict.fromkeys(map(str, names)))
    if found := _PATH.search(str(error)):
        return found[1].strip()
    full = [str(folder) for folder in _folders() if shutil.disk_usage(folder).free < 2**20]
    if number == errno.ENOSPC and full:
        return " and ".join(full)
    return (
        "a file of this command" if isinstance(error, OSError) else " ".join(str(error).split())[:200].rstrip(".")
    )


def _folders() -> list[Path]:
    """Where a command writes: its folder, those of its files, and that of temporary files."""
    named = [Path(word).parent for word in sys.argv[1:] if Path(word).exists()]
    found = [Path.cwd(), *named, *(each / "tribute-data" for each in named), Path(tempfile.gettempdir())]
    return [each for each in dict.fromkeys(map(Path.absolute, found)) if each.is_dir()]


def _ray(error: BaseException, stage: str) -> str:
    where = f" in stage {stage}" if stage else ""
    if "OutOfMemory" in type(error).__name__ or "OOM" in str(error):
        return f"A worker{where} was ended because memory ran out. {MORE_MEMORY}"
    said = next((line.strip() for line in str(error).split("\n") if line.strip()), "")
    return (
        f"Ray stopped working{where} ({type(error).__name__}: {said[:200].rstrip('. ')}). Look at the memory and "
        f"the disk of its machines, {AGAIN}"
    )
