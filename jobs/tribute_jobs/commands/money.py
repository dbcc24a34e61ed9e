"""Commands that decide what is paid: policies, closing and restating a month, the ledger, disputes."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, OptionalPeriod, Period, ProjectFile, opened
from tribute_jobs.commands.run import run_to

app = typer.Typer()
PANEL = "Money"
ledger = typer.Typer(no_args_is_help=True)
app.add_typer(
    ledger,
    name="ledger",
    rich_help_panel=PANEL,
    help="Check or export the ledger, to which closed months are posted.",
)
dispute = typer.Typer(no_args_is_help=True)
app.add_typer(
    dispute, name="dispute", rich_help_panel=PANEL, help="Record what publishers contest and how it was resolved."
)
Side = Annotated[str, typer.Argument(help="A month, or one version of it: 2026-10 or 2026-10:v1.")]
Reason = Annotated[str, typer.Option(help="Why. Publishers read this text.")]


@app.command(rich_help_panel=PANEL)
def policy(
    project: ProjectFile, period: Period = THIS_MONTH, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Register the policy of project.yaml for a month, and show what is registered.

    A policy says how values become shares. The first run of a month registers it too. To replace a registered
    policy, give a --reason; the reason stays on record.
    """
    settings = opened(project)
    from tribute_jobs.inquiries.policy import register

    register(settings, period, reason, as_json)


@app.command(rich_help_panel=PANEL)
def whatif(
    project: ProjectFile,
    period: Period = THIS_MONTH,
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.yaml", help="A further policy, written as in project.yaml. Repeat it for several."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare what several policies would pay for a valued month. Writes nothing."""
    settings = opened(project)
    from tribute_jobs.inquiries.whatif_text import print_policies

    print_policies(settings, period, policy or (), as_json)


@app.command(rich_help_panel=PANEL)
def close(project: ProjectFile, period: Period, as_json: AsJson = False) -> None:
    """Make a month final: signed statements that never change, entries in the ledger.

    The newest draft is issued again as the next version. If the draft is version 1, the final statements are
    version 2, with new ids. If settling again would give other amounts, closing is refused; and so it is as long
    as uses of the month that the service recorded are not in the lake.

    Example: tribute close project.yaml --period 2026-10
    """
    run_to(opened(project), period, as_json, "close")


@app.command(rich_help_panel=PANEL)
def restate(project: ProjectFile, period: Period, reason: Reason, as_json: AsJson = False) -> None:
    """Issue a closed month again as its next version. The next settled month pays the difference."""
    run_to(opened(project), period, as_json, "restate", reason)


@app.command(rich_help_panel=PANEL)
def reverse(
    project: ProjectFile,
    period: Period,
    run: Annotated[str, typer.Option(help="The run whose statements are void, such as settle-0123456789ab.")] = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Declare a run's final statements void, where two runs issued one version of a month.

    Earlier releases let two folders on one lake do that; no month can follow such a version. Without --run, the
    runs are listed with the one that stands: it was posted or signed, or else came first. Nothing is deleted.

    Example: tribute reverse project.yaml --period 2026-10 --run settle-0123456789ab --reason "two folders closed"
    """
    settings = opened(project)
    from tribute_jobs.reversal.report import print_double_finals, print_reversal

    if run:
        print_reversal(settings, period, run, reason, as_json)
    else:
        print_double_finals(settings, period, as_json)


@app.command(rich_help_panel=PANEL)
def diff(project: ProjectFile, before: Side, after: Side, as_json: AsJson = False) -> None:
    """Show what changed between two months, or two versions of a month, and why."""
    settings = opened(project)
    from tribute_jobs.inquiries.diff import print_difference

    print_difference(settings, before, after, as_json)


@ledger.command()
def check(project: ProjectFile, as_json: AsJson = False) -> None:
    """Check that no posted entry was changed, and show the balances."""
    settings = opened(project)
    from tribute_jobs.inquiries.ledger import print_accounts

    print_accounts(settings, as_json)


@ledger.command()
def export(project: ProjectFile, as_json: AsJson = False) -> None:
    """Print the ledger as beancount text, or its entries as JSON lines."""
    settings = opened(project)
    from tribute.royalty.account import beancount
    from tribute_jobs.period.ledger import read_ledger

    ledger = read_ledger(settings)
    if as_json:
        for entry in ledger:
            print(json.dumps(asdict(entry)))
    else:
        print(beancount(ledger), end="")


@dispute.command("open")
def open_dispute(
    project: ProjectFile,
    about: Annotated[str, typer.Argument(metavar="LINE_OR_STATEMENT", help="The id of a line or a statement.")],
    kind: Annotated[str, typer.Option("--type", help="amount, share, rights, attribution or other.")],
    text: Annotated[str, typer.Option(help="What is wrong, in the publisher's words.")],
    field: Annotated[str, typer.Option(help="The contested field, such as amount_minor.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record that a publisher contests a line or a statement, and print the dispute's id."""
    settings = opened(project)
    from tribute_jobs.inquiries.dispute import print_opened

    print_opened(settings, about, kind, text, field, as_json)


@dispute.command()
def resolve(
    project: ProjectFile,
    dispute_id: Annotated[str, typer.Argument(metavar="DISPUTE_ID", help="As `tribute dispute list` shows it.")],
    action: Annotated[str, typer.Option(help="How the dispute was resolved.")],
    as_json: AsJson = False,
) -> None:
    """Record how a dispute was resolved."""
    settings = opened(project)
    from tribute_jobs.inquiries.dispute import print_resolved

    print_resolved(settings, dispute_id, action, as_json)


@dispute.command("list")
def list_disputes(project: ProjectFile, period: OptionalPeriod = None, as_json: AsJson = False) -> None:
    """List disputes with state and age, open ones first."""
    settings = opened(project)
    from tribute_jobs.inquiries.dispute import print_disputes

    print_disputes(settings, period, as_json)
