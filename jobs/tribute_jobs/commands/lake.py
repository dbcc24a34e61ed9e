"""Commands over the lake: SQL, files for others, events coming in, upkeep."""

from pathlib import Path
from typing import Annotated

import typer

from tribute.config import load_project
from tribute_jobs.commands.arguments import AsJson, ProjectFile

app = typer.Typer()
upkeep = typer.Typer(
    no_args_is_help=True, help="Look after the lake: join small files, checkpoint logs, free space."
)
Tables = Annotated[list[str] | None, typer.Option("--table", help="only this table; may be repeated")]


@app.command()
def sql(
    target: Annotated[
        Path, typer.Argument(metavar="PROJECT.yaml|FILE.duckdb", help="a project, or a published file")
    ],
    query: Annotated[str, typer.Argument(help="one SELECT; - reads it from standard input")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="read the query from this file")] = None,
    output: Annotated[str, typer.Option("--format", help="table, csv, json (lines) or parquet")] = "table",
    to: Annotated[
        Path | None, typer.Option("--output", "-o", help="write to this file instead of printing")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="the lake as it was: a moment (2026-10-31T12:00) or versions (influence=3,queries=2)"),
    ] = None,
    timeout: Annotated[float, typer.Option(help="stop after this many seconds", min=0.1, max=86_400)] = 60.0,
    memory: Annotated[float, typer.Option(help="memory the query may use, GiB", min=0.1, max=1024)] = 2.0,
    schema: Annotated[
        bool, typer.Option("--schema", help="list tables, macros and columns, with their meaning")
    ] = False,
) -> None:
    """Ask the lake: SQL over every table that the stages have committed. It only reads, and stays in the lake.

    Examples: tribute sql project.yaml "from top_sources('q001')";
    tribute sql project.yaml -f month.sql --format csv -o month.csv
    """
    from tribute_jobs.inquiries.sql import answer, write_rows

    write_rows(answer(target, query, file, as_of, timeout, memory, schema), output, to)


@app.command()
def ingest(
    project: ProjectFile,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help=".jsonl or .parquet files; - reads JSON lines from standard input"),
    ],
    batch: Annotated[int, typer.Option(help="events in one commit, at most", min=1)] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Bring usage events into the lake: who used the model when. Any number of processes may do so at once.

    Columns: query_id, time, and text, or features and label; optionally customer_id, weight,
    inclusion_probability. What is sent again is not counted again; what comes late counts in its own month.
    """
    from tribute_jobs.commands.ingest import ingest_command

    ingest_command(load_project(project), files, batch, as_json)


@app.command()
def publish(
    project: ProjectFile,
    folder: Annotated[
        Path | None, typer.Option("--to", help="where the files go; default: in the working folder")
    ] = None,
    publisher: Annotated[
        list[str] | None, typer.Option(help="only this publisher's file; may be repeated")
    ] = None,
    period: Annotated[str | None, typer.Option(help="only this month's rows, as YYYY-MM; default: all")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a read-only DuckDB file per publisher, with its rows alone, and one for the operator."""
    from tribute_jobs.commands.publish import publish_files

    publish_files(load_project(project), folder, publisher or (), period, as_json)


@upkeep.command()
def compact(project: ProjectFile, table: Tables = None, as_json: AsJson = False) -> None:
    """Join small files into large ones, and rewrite those of an older schema; others may work meanwhile."""
    from tribute_jobs.commands.upkeep import compact_tables

    compact_tables(load_project(project), table, as_json)


@upkeep.command()
def checkpoint(project: ProjectFile, table: Tables = None, as_json: AsJson = False) -> None:
    """Write every log's state as one file, so that opening the lake does not replay it."""
    from tribute_jobs.commands.upkeep import checkpoint_tables

    checkpoint_tables(load_project(project), table, as_json)


@upkeep.command()
def retain(
    project: ProjectFile,
    table: Tables = None,
    days: Annotated[float, typer.Option(help="keep what was replaced in the last days", min=0)] = 30.0,
    dry_run: Annotated[bool, typer.Option(help="only say what would be deleted")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete files that compaction replaced longer ago; `--as-of` then reaches back no further."""
    from tribute_jobs.commands.upkeep import retain_tables

    retain_tables(load_project(project), table, days, dry_run, as_json)
