"""The command line. Bad input ends with one clear message and exit code 2, never with a traceback."""

import sys

import typer
from rich.console import Console

from tribute.errors import TributeError
from tribute_jobs.commands import closing, lake, money, stages
from tribute_jobs.commands import look as looking
from tribute_storage.errors import LakeError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Value the sources of a training corpus and pay their publishers.\n\n"
    "Start with `tribute demo`, or `tribute init DIR` for your own corpus.",
)
for part in (stages, looking, closing, money, lake):
    app.add_typer(part.app)
app.add_typer(closing.ledger, name="ledger")
app.add_typer(lake.upkeep, name="lake")


def main() -> None:
    """Entry point: run a command, and tell bad input apart from a defect."""
    try:
        app()
    except (TributeError, LakeError) as error:
        Console(stderr=True).print("[bold red]error:[/] ", end="")
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
