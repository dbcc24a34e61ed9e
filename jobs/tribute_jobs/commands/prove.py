"""Commands that prove a result: retraining, the way back from an amount, signatures."""

from pathlib import Path
from typing import Annotated

import typer

from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile, opened
from tribute_jobs.commands.run import run_to
from tribute_jobs.exit_codes import ExitCode

app = typer.Typer()
PANEL = "Prove"


@app.command(rich_help_panel=PANEL)
def evaluate(
    project: ProjectFile,
    period: Period = THIS_MONTH,
    estimators: Annotated[
        str, typer.Option(help="Also evaluate these estimators: all, or names such as trak,ekfac.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Retrain the model without sources, compare with the values, write a quality certificate.

    With --estimators the certificate also ranks TRAK, EK-FAC, TracIn and others on your model and queries. To pay
    by one of them, set attribution.method to its name. Retrained models are kept for the next evaluation.
    Recordings are replayed without sources, and a checkpoint is trained further.
    """
    settings = opened(project)
    if estimators:
        names = tuple(filter(None, (name.strip() for name in estimators.split(","))))
        evaluation = settings.evaluation.model_copy(update={"estimators": names})
        settings = settings.model_copy(update={"evaluation": evaluation})
    run_to(settings, period, as_json, "evaluate")


@app.command(rich_help_panel=PANEL)
def explain(
    project: ProjectFile,
    line: Annotated[
        str,
        typer.Argument(
            metavar="LINE_ID", help="STATEMENT_ID:SOURCE_ID, as a statement prints them, or a line's id."
        ),
    ],
    customers: Annotated[bool, typer.Option("--customers", help="Name the customers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Trace an amount back to the queries, the simulation and the training behind it."""
    settings = opened(project)
    from tribute_jobs.inquiries.explain import print_explanation

    print_explanation(settings, line, customers, as_json)


@app.command(rich_help_panel=PANEL)
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A statement or a bundle, JSON as it was sent.")],
    key: Annotated[
        str | None, typer.Option(help="The payer's public key, hexadecimal. The file must be signed with it.")
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(metavar="PROJECT.yaml", help="For a bundle: also hash its inputs in the issuing project."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a statement or a bundle offline: sums, hashes, signature. Needs no project.

    An auditor with access to the payer's project adds --project. Then every input of the bundle (influences,
    queries, rights, policies, files) and the ledger are hashed again, and each mismatch is listed.

    Exit code 0: valid. 1: invalid, with all findings. 2: the file cannot be read.
    """
    from tribute.royalty.proof import verdict

    if project is None:
        found = verdict(file, key)
    else:
        settings = opened(project)
        from tribute_jobs.inquiries.audit import verdict_with_project
        from tribute_jobs.progress import long_step

        with long_step("verify"):
            found = verdict_with_project(file, key, settings)
    print(found.as_json() if as_json else found.as_text())
    if found.problems:
        raise typer.Exit(ExitCode.FOUND)
