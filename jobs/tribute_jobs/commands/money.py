"""Commands that look at money: proofs, the way back from an amount, comparisons, disputes."""

from pathlib import Path
from typing import Annotated

import typer

from tribute.config import load_project
from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile

app = typer.Typer()
dispute = typer.Typer(no_args_is_help=True, help="What publishers contest, and what was done about it.")
app.add_typer(dispute, name="dispute")
Side = Annotated[str, typer.Argument(help="a period, or a version of it, as 2026-10 or 2026-10:v1")]


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a statement or a bundle, JSON as it was sent")],
    key: Annotated[
        str | None, typer.Option(help="the payer's public key, hexadecimal, if you know it: it must have signed")
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(
            metavar="PROJECT.yaml",
            help="with a bundle: hash again all that it rests on, in the project that issued it",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a statement or a bundle, offline and without a project: sums, hashes, signature.

    An auditor with access to the payer's project adds --project: statements, every input of the bundle
    (influences, queries, rights, policies and so on), the files it was settled by and the ledger are then hashed
    again, and what differs is named.

    Exit code 0: it holds. 1: it does not, and every finding is named. 2: the file cannot be read.
    """
    from tribute_jobs.inquiries.verify import print_verdict, verdict

    found = verdict(file, key, None if project is None else load_project(project))
    print_verdict(found, as_json)
    if found.problems:
        raise typer.Exit(1)


@app.command()
def explain(
    project: ProjectFile,
    line: Annotated[str, typer.Argument(metavar="LINE_ID", help="a line of a statement, settled or closed")],
    customers: Annotated[bool, typer.Option("--customers", help="say who asked")] = False,
    as_json: AsJson = False,
) -> None:
    """Walk back from an amount to the queries, the simulation and the training behind it."""
    from tribute_jobs.inquiries.explain import print_explanation

    print_explanation(load_project(project), line, customers, as_json)


@app.command()
def diff(project: ProjectFile, before: Side, after: Side, as_json: AsJson = False) -> None:
    """What moved between two periods, or two versions of one, and why."""
    from tribute_jobs.inquiries.diff import print_difference

    print_difference(load_project(project), before, after, as_json)


@app.command()
def whatif(
    project: ProjectFile,
    period: Period = THIS_MONTH,
    policy: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.yaml", help="a policy to add, a mapping as in project.yaml; may be repeated"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Divide a valued period by several policies side by side, before it is closed; commits nothing."""
    from tribute_jobs.inquiries.whatif_text import print_policies

    print_policies(load_project(project), period, policy or (), as_json)


@dispute.command("open")
def open_dispute(
    project: ProjectFile,
    about: Annotated[str, typer.Argument(metavar="LINE_OR_STATEMENT", help="id of a line or of a statement")],
    kind: Annotated[str, typer.Option("--type", help="amount, share, rights, attribution or other")],
    text: Annotated[str, typer.Option(help="what is wrong, in the publisher's words")],
    field: Annotated[str, typer.Option(help="the field in question, such as amount_minor")] = "",
    as_json: AsJson = False,
) -> None:
    """Record that a publisher contests a line or a whole statement; prints the dispute's id."""
    from tribute_jobs.inquiries.dispute_text import print_opened

    print_opened(load_project(project), about, kind, text, field, as_json)


@dispute.command()
def resolve(
    project: ProjectFile,
    dispute_id: Annotated[str, typer.Argument(metavar="DISPUTE_ID", help="as `dispute list` shows it")],
    action: Annotated[str, typer.Option(help="what was done about it")],
    as_json: AsJson = False,
) -> None:
    """Record what was done about a dispute."""
    from tribute_jobs.inquiries.dispute_text import print_resolved

    print_resolved(load_project(project), dispute_id, action, as_json)


@dispute.command("list")
def list_disputes(
    project: ProjectFile,
    period: Annotated[str | None, typer.Option(help="only this month's, as YYYY-MM")] = None,
    as_json: AsJson = False,
) -> None:
    """Disputes with their state and age, the open ones first."""
    from tribute_jobs.inquiries.dispute_text import print_disputes

    print_disputes(load_project(project), period, as_json)
