"""The command line. Bad input ends with one clear message and exit code 2, never with a traceback."""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tribute.config import Project, load_project
from tribute.errors import TributeError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Value the sources of a training corpus and pay their publishers.\n\n"
    "Start with `tribute demo`, or `tribute init DIR` for your own corpus.",
)

ProjectFile = Annotated[Path, typer.Argument(help="the project's settings", metavar="PROJECT.yaml")]
Period = Annotated[str, typer.Option(help="the month, as YYYY-MM")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
THIS_MONTH = date.today().strftime("%Y-%m")


def main() -> None:
    """Entry point: run a command, and tell bad input apart from a defect."""
    try:
        app()
    except TributeError as error:
        Console(stderr=True).print("[bold red]error:[/] ", end="")
        print(error, file=sys.stderr)
        sys.exit(2)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="where its project and results go")] = Path("tribute-demo"),
    period: Period = THIS_MONTH,
    as_json: AsJson = False,
) -> None:
    """Run the whole chain on text that every Python installation has: docstrings of installed packages."""
    from tribute_jobs.starter import write_demo

    _run(load_project(write_demo(folder)), period, as_json, "settle")


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Write a commented project.yaml that runs as it is, to be pointed at your own corpus and model."""
    from tribute_jobs.starter import write_starter

    path = write_starter(folder)
    print(f"Wrote {path}. Try it: tribute run {path} --period {THIS_MONTH}")


@app.command()
def run(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """The scheduled job: every stage; keeps what is there, takes up what is not."""
    _run(load_project(project), period, as_json, "settle")


@app.command()
def train(project: ProjectFile, as_json: AsJson = False) -> None:
    """Snapshot the corpus, train every replicate and record its trajectory."""
    _run(load_project(project), THIS_MONTH, as_json, "train")


@app.command()
def simulate(project: ProjectFile, as_json: AsJson = False) -> None:
    """Simulate how the parameters would have moved without each source (after train)."""
    _run(load_project(project), THIS_MONTH, as_json, "simulate")


@app.command()
def attribute(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Attribute the period's queries to the sources (after simulate)."""
    _run(load_project(project), period, as_json, "attribute")


@app.command()
def value(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Value sources and publishers over the period (after attribute); tracked in MLflow."""
    _run(load_project(project), period, as_json, "value")


@app.command()
def settle(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Divide the pool to the cent and write the statements (after value)."""
    _run(load_project(project), period, as_json, "settle")


@app.command()
def evaluate(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """How far to trust the values: really retrain, judge every read-out, write a quality certificate.

    Retrains are banked, so that another month, or another simulation of the same training, finds them.
    """
    _run(load_project(project), period, as_json, "evaluate")


@app.command()
def report(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Show a period's latest valuation: publishers, intervals, shares, amounts."""
    from tribute.valuation import valuation_report
    from tribute_jobs.reading import latest_valuation, print_valuation

    settings = load_project(project)
    valuation = latest_valuation(settings, period)
    if as_json:
        print(json.dumps(valuation_report(valuation), indent=2))
    else:
        print_valuation(settings, valuation, Console())


@app.command()
def statement(
    project: ProjectFile,
    publisher: Annotated[str, typer.Argument(help="a publisher_id of `tribute report`")],
    period: Period = THIS_MONTH,
    output: Annotated[str, typer.Option("--format", help="text, json or html")] = "text",
) -> None:
    """Print a publisher's latest statement of a period."""
    from tribute_jobs.reading import statement_text

    print(statement_text(load_project(project), publisher, period, output))


@app.command()
def sql(
    project: ProjectFile,
    query: Annotated[str, typer.Argument(help="one SELECT")] = "",
    output: Annotated[str, typer.Option("--format", help="table, csv or json")] = "table",
    schema: Annotated[bool, typer.Option("--schema", help="list tables and columns with their meaning")] = False,
) -> None:
    """Ask the lake: SQL over every table that the stages have committed."""
    from tribute_jobs.reading import print_rows
    from tribute_storage import describe
    from tribute_storage import query as run_query

    root = load_project(project).lake_root
    print_rows(describe() if schema or not query else run_query(root, query), output)


@app.command()
def status(project: ProjectFile, as_json: AsJson = False) -> None:
    """What is there: runs of the current settings, periods and statements."""
    from tribute_jobs.reading import print_status

    print_status(load_project(project), as_json)


@app.command()
def doctor(
    project: Annotated[Path | None, typer.Argument(metavar="[PROJECT.yaml]")] = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine and, if one is named, a project; exit code 1 if something is wrong."""
    from tribute_jobs.doctor import examine, print_findings

    findings = examine(project)
    print_findings(findings, as_json)
    if any(not finding.fine for finding in findings):
        raise typer.Exit(1)


@app.command()
def serve(project: ProjectFile) -> None:
    """Start the Ray Serve application: attributions and reports over HTTP."""
    from tribute.serving import serve_forever

    serve_forever(load_project(project))


def _run(project: Project, period: str, as_json: bool, last: str) -> None:
    from tribute_jobs.pipeline import run as run_stages
    from tribute_jobs.progress import JsonReporter, PeopleReporter
    from tribute_jobs.reading import latest_valuation, print_valuation

    console = Console()
    outcome = run_stages(project, period, JsonReporter() if as_json else PeopleReporter(console), last)
    if as_json:
        print(json.dumps({"event": "ended", "changed": outcome.changed, "period": period}))
        return
    if not outcome.changed:
        console.print("Nothing to do: everything is there already.")
    if last == "settle":
        print_valuation(project, latest_valuation(project, period), console)


if __name__ == "__main__":
    main()
