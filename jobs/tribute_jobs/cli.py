"""The entry point. A fault ends with one message and an exit code (`exit_codes`), never with a traceback.

Signals are watched for before anything else is imported.
"""

import sys
from typing import TYPE_CHECKING

from tribute_jobs.interruption import Interruption
from tribute_jobs.native_output import python_owns_standard_error
from tribute_storage.first_use import first_use

if TYPE_CHECKING:
    from tribute_jobs.commands.app import app as app

__getattr__ = first_use("tribute_jobs", {"commands.app": ["app"]})


def main() -> None:
    """Run a command; print a fault as one message, end on a signal with one line, and let a defect raise."""
    with python_owns_standard_error(), Interruption() as interruption:
        stage = ""
        try:
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


if __name__ == "__main__":
    main()
