"""The command line. A fault ends with one message and an exit code (`exit_codes`), never with a traceback."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from tribute.errors import TributeError
from tribute_jobs.commands import backup, ingest, lake, look, money, prove, run, serve, setup
from tribute_jobs.exit_codes import code_of
from tribute_jobs.printing import printable, terminal
from tribute_storage.errors import LakeError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
for room in (setup, run, ingest, look, money, prove, serve, lake, backup):
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
    """


def main() -> None:
    """Entry point: run a command; print a fault as one message, and let a defect raise."""
    try:
        app()
    except (TributeError, LakeError) as error:
        terminal(stderr=True).print("error: ", style="bold red", end="")
        print("\n".join(map(printable, str(error).split("\n"))), file=sys.stderr)
        sys.exit(code_of(error))


if __name__ == "__main__":
    main()
