"""Commands that run the stages, all of them or some."""

import json
import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile, opened
from tribute_jobs.exit_codes import ExitCode

if TYPE_CHECKING:
    from tribute.config import Project

app = typer.Typer()
PANEL = "Run"


@app.command(rich_help_panel=PANEL)
def run(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Run every stage of a month: train, simulate, attribute, value, settle.

    Finished stages are kept, so you can start it again at any time, from cron for example.
    Exit code 3: the month is settled, but has no queries.

    Example: tribute run project.yaml --period 2026-10
    """
    run_to(opened(project), period, as_json, "settle")


@app.command(rich_help_panel=PANEL)
def train(project: ProjectFile, as_json: AsJson = False) -> None:
    """Read the corpus, train the model several times and record every step."""
    run_to(opened(project), THIS_MONTH, as_json, "train")


@app.command(rich_help_panel=PANEL)
def simulate(project: ProjectFile, as_json: AsJson = False) -> None:
    """Compute how the trained parameters would differ without each source. Trains first if needed."""
    run_to(opened(project), THIS_MONTH, as_json, "simulate")


@app.command(rich_help_panel=PANEL)
def attribute(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Measure how much each source helped each query of a month. A query is one use of the model."""
    run_to(opened(project), period, as_json, "attribute")


@app.command(rich_help_panel=PANEL)
def value(
    project: ProjectFile,
    period: Period = THIS_MONTH,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only print the precision predicted for 0 to 80 further trainings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train without some sources until the month's values are precise enough, and add them up by publisher.

    Values have 95% intervals; MLflow tracks them. `valuation.precision` and `valuation.budget` say what is enough.

    Example: tribute value project.yaml --period 2026-10 --plan
    """
    if plan:
        from tribute_jobs.inquiries.plan import print_plan

        print_plan(opened(project), period, as_json)
        return
    run_to(opened(project), period, as_json, "value")


@app.command(rich_help_panel=PANEL)
def settle(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Divide the month's pool to the cent and write the draft statements. The same as `run`."""
    run_to(opened(project), period, as_json, "settle")


def run_to(project: "Project", period: str, as_json: bool, last: str, reason: str = "") -> None:
    """Run the stages up to `last` and report their progress."""

    from tribute_jobs.inquiries.report import latest_valuation, print_valuation
    from tribute_jobs.pipeline import run as run_stages
    from tribute_jobs.printing import terminal
    from tribute_jobs.progress import JsonReporter, PeopleReporter

    console = terminal()
    reporter = JsonReporter(sys.stdout) if as_json else PeopleReporter(console)
    with redirect_stdout(sys.stderr) if as_json else nullcontext():  # what a task's own code prints is no JSON
        outcome = run_stages(project, period, reporter, last, reason)
    valuation = latest_valuation(project, period) if last in ("settle", "close", "restate") else None
    if as_json:
        print(json.dumps({"event": "ended", "changed": outcome.changed, "period": period}))
    else:
        if not outcome.changed:
            console.print("Nothing to do: every stage had finished before.")
        if valuation is not None:
            print_valuation(project, valuation, console)
    if last == "settle" and valuation is not None and not valuation.publishers()[0]["queries"]:
        raise typer.Exit(ExitCode.NO_QUERIES)
