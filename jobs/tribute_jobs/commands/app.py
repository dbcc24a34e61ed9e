"""`tribute`: all commands, and the entry that runs one."""

import json
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from typing import Annotated

import typer

from tribute.errors import TributeError
from tribute_jobs.commands import backup, ingest, judge, keys, lake, look, money, prove, run, serve, setup
from tribute_jobs.exit_codes import ExitCode, code_of
from tribute_jobs.faults import Commands, OutputClosed
from tribute_jobs.interruption import Interruption
from tribute_jobs.printing import copyable, printable, terminal
from tribute_storage.errors import LakeError

app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)
for room in (setup, run, ingest, look, money, prove, judge, serve, keys, lake, backup):
    app.add_typer(room.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tribute {version('tribute')}")
        raise typer.Exit


@app.callback()
def tribute(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Measure what each source of a training corpus contributed to a model's answers, and pay its publisher.

    First steps: `tribute demo` runs everything on text that this computer already has.
    `tribute init my-project` writes a project file for your own corpus and model.
    `tribute COMMAND --help` explains a command.

    Exit codes: 0 done, 1 a check found a problem, 2 bad input, 3 a month without queries, 4 a damaged file,
    5 the machine refuses, 6 another command is at work, 130, 137 and 143 stopped by a signal, 141 nobody reads the
    output. After 5, 6 and these four the same command goes on where it stopped.
    """


def run_command(interruption: Interruption) -> int:
    """Run the command of `sys.argv`: its exit code. A fault is printed as one message; a defect raises."""
    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.DONE
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more
        return ExitCode.CLOSED
    except (TributeError, LakeError) as error:
        if interruption.signal is not None:  # what the signal made of the work is no fault
            raise
        return print_fault("\n".join(map(printable, copyable(str(error)).split("\n"))), code_of(error))
    return ExitCode.DONE


def print_fault(message: str, code: ExitCode) -> ExitCode:
    """The message on standard error; with --json also as an event on standard output."""
    terminal(stderr=True).print("error: ", style="bold red", end="")
    print(message, file=sys.stderr)
    if "--json" in sys.argv:
        with suppress(BrokenPipeError):
            print(json.dumps({"event": "error", "message": message, "code": int(code)}), flush=True)
    return code
