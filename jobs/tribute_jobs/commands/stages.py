"""Commands that run the chain, or a part of it."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tribute.config import Project, load_project
from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile

app = typer.Typer()


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="where its project and results go")] = Path("tribute-demo"),
    period: Period = THIS_MONTH,
    as_json: AsJson = False,
) -> None:
    """Run the whole chain on text that every Python installation has: docstrings of installed packages."""
    from tribute_jobs.commands.starter import write_demo

    run_to(load_project(write_demo(folder)), period, as_json, "settle")


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Write a commented project.yaml that runs as it is, to be pointed at your own corpus and model."""
    from tribute_jobs.commands.starter import write_starter

    path = write_starter(folder)
    print(f"Wrote {path}. Try it: tribute run {path} --period {THIS_MONTH}")


@app.command()
def run(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """The scheduled job: every stage; keeps what is there, takes up what is not."""
    run_to(load_project(project), period, as_json, "settle")


@app.command()
def train(project: ProjectFile, as_json: AsJson = False) -> None:
    """Snapshot the corpus, train every replicate and record its trajectory."""
    run_to(load_project(project), THIS_MONTH, as_json, "train")


@app.command()
def simulate(project: ProjectFile, as_json: AsJson = False) -> None:
    """Simulate how the parameters would have moved without each source (after train)."""
    run_to(load_project(project), THIS_MONTH, as_json, "simulate")


@app.command()
def attribute(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Attribute the period's queries to the sources (after simulate)."""
    run_to(load_project(project), period, as_json, "attribute")


@app.command()
def value(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Value sources and publishers over the period (after attribute); tracked in MLflow."""
    run_to(load_project(project), period, as_json, "value")


@app.command()
def settle(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Divide the pool to the cent and write the statements (after value)."""
    run_to(load_project(project), period, as_json, "settle")


@app.command()
def evaluate(
    project: ProjectFile,
    period: Period = THIS_MONTH,
    estimators: Annotated[
        str, typer.Option(help="others to judge beside it: all, or names with commas, such as trak,ekfac")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """How far to trust the values: really retrain, judge every read-out, write a quality certificate.

    With --estimators the certificate also ranks TRAK, EK-FAC, TracIn and others on your own model and queries; any
    of them can be paid by: set simulation.mode to its name. Retrains are banked, so that another month, or another
    simulation of the same training, finds them.
    """
    settings = load_project(project)
    if estimators:
        names = tuple(filter(None, (name.strip() for name in estimators.split(","))))
        judged = settings.evaluation.model_copy(update={"estimators": names})
        settings = settings.model_copy(update={"evaluation": judged})
    run_to(settings, period, as_json, "evaluate")


@app.command()
def serve(project: ProjectFile) -> None:
    """Start the Ray Serve application: attributions and reports over HTTP."""
    from tribute.serving import serve_forever

    serve_forever(load_project(project))


def run_to(project: Project, period: str, as_json: bool, last: str, reason: str = "") -> None:
    """Run the stages up to `last`, telling what happens."""
    from tribute_jobs.inquiries.report import latest_valuation, print_valuation
    from tribute_jobs.pipeline import run as run_stages
    from tribute_jobs.progress import JsonReporter, PeopleReporter

    console = Console()
    outcome = run_stages(project, period, JsonReporter() if as_json else PeopleReporter(console), last, reason)
    if as_json:
        print(json.dumps({"event": "ended", "changed": outcome.changed, "period": period}))
        return
    if not outcome.changed:
        console.print("Nothing to do: everything is there already.")
    if last in ("settle", "close", "restate"):
        print_valuation(project, latest_valuation(project, period), console)
