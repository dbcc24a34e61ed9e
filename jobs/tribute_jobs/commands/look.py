"""Commands that show what is there."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tribute.config import load_project
from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile

app = typer.Typer()


@app.command()
def report(
    project: ProjectFile,
    period: Period = THIS_MONTH,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="also draw shares with intervals next to token counts")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a period's latest valuation: publishers, intervals, shares, amounts."""
    from tribute.catalog import valuation_report
    from tribute_jobs.inquiries.report import latest_valuation, print_valuation, write_picture

    settings = load_project(project)
    valuation = latest_valuation(settings, period)
    if picture is not None:
        write_picture(settings, valuation, picture)
    if as_json:
        print(json.dumps(valuation_report(valuation), indent=2))
    else:
        print_valuation(settings, valuation, Console())


@app.command()
def statement(
    project: ProjectFile,
    publisher: Annotated[str, typer.Argument(help="a publisher_id of `tribute report`")],
    period: Period = THIS_MONTH,
    output: Annotated[str, typer.Option("--format", help="text, json, html or pdf")] = "text",
) -> None:
    """Print a publisher's latest statement of a period."""
    from tribute_jobs.inquiries.report import statement_bytes

    sys.stdout.buffer.write(statement_bytes(load_project(project), publisher, period, output))
    sys.stdout.buffer.flush()


@app.command()
def examples(
    project: ProjectFile,
    query: Annotated[str, typer.Option(help="a query_id of the period, as in table `queries`")],
    source: Annotated[str, typer.Option(help="a source_id")],
    estimator: Annotated[str, typer.Option(help="by which one: see `tribute estimators`")] = "trackstar",
    count: Annotated[int, typer.Option(help="how many", min=1)] = 5,
    period: Period = THIS_MONTH,
    as_json: AsJson = False,
) -> None:
    """The training examples of a source that shaped an answer most (after train).

    The estimator that simulation.mode names has the options of the project, any other one its defaults.
    """
    from tribute_jobs.inquiries.examples import influential_examples, print_examples

    found = influential_examples(load_project(project), period, query, source, estimator, count)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print_examples(found, f"{source} for {query}, by {estimator}", Console())


@app.command()
def estimators(as_json: AsJson = False) -> None:
    """The estimators for simulation.mode, `evaluate --estimators` and `examples`, with their options."""
    from tribute_jobs.inquiries.examples import estimators as known
    from tribute_jobs.inquiries.examples import print_estimators

    if as_json:
        print(json.dumps(known(), indent=2))
    else:
        print_estimators(Console())


@app.command()
def status(project: ProjectFile, as_json: AsJson = False) -> None:
    """What is there: runs of the current settings, periods and statements."""
    from tribute_jobs.inquiries.report import print_status

    print_status(load_project(project), as_json)


@app.command()
def doctor(
    project: Annotated[Path | None, typer.Argument(metavar="[PROJECT.yaml]", help="checked too")] = None,
    as_json: AsJson = False,
    clear: Annotated[
        bool, typer.Option("--clear-orphans", help="delete files that killed runs left in the lake")
    ] = False,
    hours: Annotated[float, typer.Option(help="--clear-orphans: from which age on, hours", min=0)] = 24.0,
) -> None:
    """Check this machine and, if one is named, a project; exit code 1 if something is wrong."""
    from tribute_jobs.inquiries.doctor import examine, print_findings

    findings = examine(project, hours if clear else None)
    print_findings(findings, as_json)
    if any(not finding.fine for finding in findings):
        raise typer.Exit(1)
