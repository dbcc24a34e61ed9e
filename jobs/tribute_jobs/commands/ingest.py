"""`tribute ingest`: usage events from files into the lake. Any number of processes may ingest at once."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tribute_jobs.commands.arguments import AsJson, ProjectFile, opened

if TYPE_CHECKING:
    from tribute.config import Project
    from tribute_jobs.progress import Reporter
    from tribute_storage import Ingested

app = typer.Typer()
STANDARD_INPUT = Path("/dev/stdin")
MAX_LISTED_IDS = 20


@app.command(rich_help_panel="Run")
def ingest(
    project: ProjectFile,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help=".jsonl, .jsonl.gz or .parquet files; - reads JSON lines from standard input."
        ),
    ],
    batch: Annotated[int, typer.Option(help="Most events in one commit.", min=1)] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Read usage events into the lake: who used the model, and when.

    Columns: query_id, time, and text, or features and label; optionally customer_id, weight,
    inclusion_probability. An event that is sent twice counts once. A late event counts in its own month.

    Example: tribute ingest project.yaml events-2026-10-03.jsonl
    """
    settings = opened(project)

    from tribute_jobs.printing import terminal
    from tribute_jobs.progress import JsonReporter, PeopleReporter

    with closing(JsonReporter() if as_json else PeopleReporter(terminal())) as reporter:
        total = ingest_files(settings, files, reporter, batch)
    if as_json:
        print(json.dumps({"event": "ended"} | figures(total)))


def ingest_files(
    project: "Project", files: Sequence[str], reporter: "Reporter", batch: int = 10_000
) -> "Ingested":
    """Append the usage events of .jsonl and .parquet files, and of JSON lines on standard input (`-`).

    A file is checked as a whole before any of its events is committed; files before it stay committed. The working
    folder is not locked, because commits to one lake do not disturb each other.

    Args:
        batch: most events in one commit.

    Raises:
        CorpusError: names the file, the row and the column that are wrong.
    """
    from tribute.catalog import usage_events
    from tribute.config import IngestedQueriesSettings
    from tribute.corpus import text_format
    from tribute.ids import excerpt
    from tribute_storage import Ingested, Lake, claim
    from tribute_storage import ingest as append

    lake, total = Lake(project.lake_root), Ingested()
    claim(lake, project.name)
    keep_content, form = isinstance(project.queries, IngestedQueriesSettings), text_format(project.corpus)
    for name in files:
        path = STANDARD_INPUT if name == "-" else Path(name)
        events = usage_events(path, form, keep_content)
        reporter.started("ingest", name)
        ingested = append(lake, events, batch, reporter.advanced)
        reporter.finished("ingest", name, ingested.batches > 0, _summary(ingested, keep_content))
        total += ingested
    if total.conflicts:
        reporter.warned(
            f"{len(total.conflicts)} query ids have more than one content, such as {excerpt(total.conflicts[0])}; "
            "the earliest event of each counts. Give every use of the model its own id"
        )
    if total.in_two_months:
        reporter.warned(
            f"{len(total.in_two_months)} query ids have events in two months, such as "
            f"{excerpt(total.in_two_months[0])}; the earliest event of each counts, in its month. Give every use "
            "of the model its own id"
        )
    return total


def figures(ingested: "Ingested") -> dict[str, object]:
    """What was ingested, as `--json` prints it."""
    return {
        "events": ingested.events,
        "duplicates": ingested.duplicates,
        "conflicts": len(ingested.conflicts),
        "conflicting_ids": list(ingested.conflicts[:MAX_LISTED_IDS]),
        "in_two_months": len(ingested.in_two_months),
        "late": ingested.late,
        "periods": dict(ingested.periods),
        "batches": ingested.batches,
    }


def _summary(ingested: "Ingested", keep_content: bool) -> str:
    new = ", ".join(f"{count:,} in {period}" for period, count in ingested.periods.items())
    parts = [f"{ingested.events:,} events, {ingested.duplicates:,} duplicates; new queries: {new or 'none'}"]
    if ingested.late:
        parts.append(f"{ingested.late:,} of them late: run their months again")
    return "; ".join(parts if keep_content else [*parts, "content not kept"])
