"""Commands that show results."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile, opened

app = typer.Typer()
PANEL = "Look"


@app.command(rich_help_panel=PANEL)
def status(project: ProjectFile, as_json: AsJson = False) -> None:
    """Show which stages are done, how far a run is, and which months are settled.

    Look from another window while a run is at work. A run that was stopped says where.
    """
    settings = opened(project)
    from tribute_jobs.inquiries.report import print_status

    print_status(settings, as_json)


@app.command(rich_help_panel=PANEL)
def report(
    project: ProjectFile,
    period: Period = THIS_MONTH,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help="Also draw shares with intervals next to token counts."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a month's publishers: value with its interval, share and amount.

    Example: tribute report project.yaml --period 2026-10
    """
    settings = opened(project)

    from tribute.catalog import valuation_report
    from tribute_jobs.inquiries.report import latest_valuation, print_valuation, write_picture
    from tribute_jobs.printing import terminal

    valuation = latest_valuation(settings, period)
    if picture is not None:
        write_picture(settings, valuation, picture)
    if as_json:
        print(json.dumps(valuation_report(valuation), indent=2))
    else:
        print_valuation(settings, valuation, terminal())


@app.command(rich_help_panel=PANEL)
def statement(
    project: ProjectFile,
    publisher: Annotated[str, typer.Argument(help="A publisher, as `tribute report` names it.")],
    period: Period = THIS_MONTH,
    output: Annotated[str, typer.Option("--format", help="text, json, html or pdf.")] = "text",
    as_json: AsJson = False,
) -> None:
    """Print a publisher's latest statement of a month.

    Example: tribute statement project.yaml databricks --period 2026-10 --format pdf > databricks.pdf
    """
    settings = opened(project)
    from tribute_jobs.inquiries.report import statement_bytes

    content = statement_bytes(settings, publisher, period, "json" if as_json else output)
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


@app.command(rich_help_panel=PANEL)
def sql(
    target: Annotated[
        Path,
        typer.Argument(metavar="PROJECT.yaml|FILE.duckdb", help="A project, or a file of `tribute publish`."),
    ],
    query: Annotated[str, typer.Argument(help="One SELECT; - reads it from standard input.")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the query from this file.")] = None,
    output: Annotated[str, typer.Option("--format", help="table, csv, json (lines) or parquet.")] = "table",
    to: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of printing.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Ask the lake as it was: at a moment (2026-10-31T12:00), or in versions (influence=3,queries=2)."
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Stop after this many seconds.", min=0.1, max=86_400)] = 60.0,
    memory: Annotated[float, typer.Option(help="Memory limit of the query, GiB.", min=0.1, max=1024)] = 2.0,
    schema: Annotated[
        bool, typer.Option("--schema", help="List tables, macros and columns with their meaning.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Query the lake with SQL: every table that the stages have written. A query can only read.

    Example: tribute sql project.yaml "from top_sources('sqlalchemy/0') limit 3"

    Example: tribute sql project.yaml -f month.sql --format csv -o month.csv
    """
    from tribute_jobs.inquiries.sql import answer, write_rows

    write_rows(answer(target, query, file, as_of, timeout, memory, schema), "json" if as_json else output, to)


@app.command(rich_help_panel=PANEL)
def examples(
    project: ProjectFile,
    query: Annotated[str, typer.Option(help="A query_id of the month, from the table `queries`.")],
    source: Annotated[str, typer.Option(help="A source_id, from the table `corpus_sources`.")],
    estimator: Annotated[str, typer.Option(help="One of `tribute estimators`.")] = "trackstar",
    count: Annotated[int, typer.Option(help="How many examples.", min=1)] = 5,
    period: Period = THIS_MONTH,
    as_json: AsJson = False,
) -> None:
    """Show the training examples of a source that influenced a query most. Needs a trained model.

    The estimator in project.yaml has the project's options. Any other estimator has its defaults. Where the corpus
    has an index (tribute verbatim), passages that the query shares with the source word for word follow.
    """
    settings = opened(project)

    from tribute_jobs.inquiries.examples import batch_query, influential_examples, print_examples
    from tribute_jobs.inquiries.verbatim.passages import has_index
    from tribute_jobs.inquiries.verbatim.passages import verbatim as shared
    from tribute_jobs.inquiries.verbatim.printing import print_verbatim
    from tribute_jobs.printing import terminal
    from tribute_jobs.progress import long_step

    asked = batch_query(settings, period, query)
    with long_step("examples"):
        found = influential_examples(settings, asked, source, estimator, count)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print_examples(found, f"{source} for {query}, by {estimator}", terminal())
        if has_index(settings):
            print_verbatim(shared(settings, asked, [source], make=False), terminal())


@app.command(rich_help_panel=PANEL)
def verbatim(
    project: ProjectFile,
    query: Annotated[
        str | None, typer.Option(help="A query_id of the month; without one, only the index is made.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only these sources.", show_default="all")] = None,
    least: Annotated[
        int | None, typer.Option(help="Tokens of the shortest passage.", show_default="30 bytes", min=1)
    ] = None,
    count: Annotated[int, typer.Option(help="How many passages.", min=1)] = 10,
    period: Period = THIS_MONTH,
    as_json: AsJson = False,
) -> None:
    """Show the longest passages that a query and its answer share with the sources, word for word or nearly.

    The first call makes an index of the corpus in the working folder: it takes a second for every megabyte or two,
    and about seven times the size of the text on disk. Held-out text never counts.

    Example: tribute verbatim project.yaml --query q001 --period 2026-10
    """
    settings = opened(project)

    from tribute_jobs.inquiries.examples import batch_query
    from tribute_jobs.inquiries.verbatim.passages import corpus_index
    from tribute_jobs.inquiries.verbatim.passages import verbatim as shared
    from tribute_jobs.inquiries.verbatim.printing import print_verbatim
    from tribute_jobs.printing import terminal
    from tribute_jobs.progress import long_step

    asked = None if query is None else batch_query(settings, period, query)
    with long_step("verbatim") as on_done:
        corpus_index(settings, on_done, make=True)
    found = [] if asked is None else shared(settings, asked, source, least)[:count]
    if as_json:
        print(json.dumps(found, indent=2))
    elif asked is not None:
        print_verbatim(found, terminal())


@app.command(rich_help_panel=PANEL)
def estimators(as_json: AsJson = False) -> None:
    """List the estimators (TRAK, EK-FAC and others) and their options.

    Name one under `attribution.method` to pay by it, or under `evaluate --estimators` to compare it.
    """

    from tribute_jobs.inquiries.examples import estimators as known
    from tribute_jobs.inquiries.examples import print_estimators
    from tribute_jobs.printing import terminal

    if as_json:
        print(json.dumps(known(), indent=2))
    else:
        print_estimators(terminal())
