"""The entry point. A fault ends with one message and an exit code (`exit_codes`), never with a traceback.

Signals are watched for before anything else is imported, and the command from outside (`watcher`).
"""

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from tribute_jobs.interruption import Interruption
from tribute_jobs.native_output import python_owns_standard_error
from tribute_jobs.watcher import let_signals_come, watched
from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute_jobs.commands.app import app as app

__getattr__ = first_use("tribute_jobs", {"commands.app": ["app"]})


def main() -> None:
    """Run a command; print a fault as one message, end on a signal with one line, and let a defect raise."""
    with python_owns_standard_error(), Interruption() as interruption:
        stage = ""
        try:
            let_signals_come()
            from tribute_jobs.commands.app import run_command  # noqa: PLC0415  (a signal may come meanwhile)

            code = run_command(interruption)
        except BaseException as error:
            if interruption.signal is None:
                raise
            stage = next(iter(getattr(error, "__notes__", ())), "")
        if interruption.signal is not None:
            print(interruption.line(stage), file=sys.stderr)
            code = 128 + interruption.signal
    sys.exit(code)


def tribute() -> NoReturn:
    """Run a command in a process of its own, which is watched."""
    watched(main, tell)


def tell(ended: int) -> int:
    """Print the end of a command that could not do so; its exit code.

    Args:
        ended: how it ended, negative for a signal.
    """
    from tribute_jobs.commands.app import print_fault  # noqa: PLC0415  (few commands end so)
    from tribute_jobs.exit_codes import ExitCode  # noqa: PLC0415
    from tribute_jobs.faults import silent_end  # noqa: PLC0415

    if sys.stderr.isatty():
        print("\x1b[?25h", end="", file=sys.stderr)  # a bar hides the cursor
    return print_fault(silent_end(ended), ExitCode.KILLED if ended == -signal.SIGKILL else ExitCode.MACHINE)


if __name__ == "__main__":
    tribute()
