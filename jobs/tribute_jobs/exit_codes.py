"""Exit codes of the command line: what a scheduler does next, without reading the message."""

from enum import IntEnum

from tribute.errors import BusyError, DamagedFile, MachineError, TributeError
from tribute_storage.errors import LakeConflict, LakeDamaged, LakeError, LakeUnavailable


class ExitCode(IntEnum):
    """Exit codes, each with its meaning."""

    doc: str

    def __new__(cls, value: int, doc: str) -> "ExitCode":
        """A code and its meaning."""
        member = int.__new__(cls, value)
        member._value_, member.doc = value, doc
        return member

    DONE = 0, "Done, or nothing to do."
    FOUND = 1, "A check found a problem: check, doctor, verify, ledger check, backup --check."
    INPUT = 2, "A file, setting or option cannot be used. Correct it, then run the same command again."
    NO_QUERIES = 3, "The month is settled, but it has no queries."
    DAMAGED = 4, "A file that tribute wrote is missing or not what was written. Run doctor, and restore the file."
    MACHINE = 5, "Disk, folder, memory, Ray or a store refuses. Mend that, then run the same command again."
    BUSY = 6, "Another command is at work, or came first. Run the same command later."
    INTERRUPTED = 130, "Stopped by Ctrl-C (SIGINT). Finished work is kept: run the same command again."
    KILLED = 137, "Killed (SIGKILL), mostly because memory ran out. Make room, then run the same command again."
    CLOSED = 141, "The program that read the output closed it. Finished work is kept: run the same command again."
    TERMINATED = 143, "Stopped by SIGTERM. Finished work is kept: run the same command again."


def code_of(error: TributeError | LakeError) -> ExitCode:
    """The exit code of a command that ended with an error."""
    if isinstance(error, DamagedFile | LakeDamaged):
        return ExitCode.DAMAGED
    if isinstance(error, MachineError | LakeUnavailable):
        return ExitCode.MACHINE
    return ExitCode.BUSY if isinstance(error, BusyError | LakeConflict) else ExitCode.INPUT
