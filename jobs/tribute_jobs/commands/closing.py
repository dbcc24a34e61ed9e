"""Commands that bind the payer: policies, closing, restating, the ledger."""

from typing import Annotated

import typer

from tribute.config import load_project
from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile
from tribute_jobs.commands.stages import run_to

app = typer.Typer()
ledger = typer.Typer(no_args_is_help=True, help="The double-entry ledger that closed periods are posted to.")
Reason = Annotated[str, typer.Option(help="why, in words that the publishers will read")]


@app.command()
def policy(
    project: ProjectFile, period: Period = THIS_MONTH, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Register the policy of project.yaml for a period, before it ends; shows what is registered.

    Running a period registers its policy too. Another policy then needs a --reason, which stays on record.
    """
    from tribute_jobs.inquiries.policy import register

    register(load_project(project), period, reason, as_json)


@app.command()
def close(project: ProjectFile, period: Period, as_json: AsJson = False) -> None:
    """Make a period final: statements that never change, ledger entries, a signed bundle that proves them.

    What the newest draft says is issued once more as the next version, final: of a draft that is version 1, the
    final statements are version 2, with ids of their own. A draft that settling now would not give is refused.
    """
    run_to(load_project(project), period, as_json, "close")


@app.command()
def restate(project: ProjectFile, period: Period, reason: Reason, as_json: AsJson = False) -> None:
    """Issue a closed period anew as its next version; what it moves, the next settled period adjusts."""
    run_to(load_project(project), period, as_json, "restate", reason)


@ledger.command()
def check(project: ProjectFile, as_json: AsJson = False) -> None:
    """Check that every entry of the ledger is as it was posted, and show the accounts' balances."""
    from tribute_jobs.inquiries.ledger import print_accounts

    print_accounts(load_project(project), as_json)


@ledger.command()
def export(project: ProjectFile) -> None:
    """Print the ledger as beancount text."""
    from tribute.royalty.account import beancount
    from tribute_jobs.period.ledger import read_ledger

    print(beancount(read_ledger(load_project(project))), end="")
