"""`tribute ingest`: usage events from files into the lake; any number of processes may do so at once."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tribute.catalog import usage_events
from tribute.config import IngestedQueriesSettings, Project
from tribute_jobs.progress import JsonReporter, PeopleReporter, Reporter
from tribute_storage import Ingested, Lake, ingest

STANDARD_INPUT = Path("/dev/stdin")
SHOWN = 20


def ingest_command(project: Project, files: Sequence[str], batch: int, as_json: bool) -> None:
    """`tribute ingest`; the last line of `--json` has the figures of all files."""
    found = ingest_files(project, files, JsonReporter() if as_json else PeopleReporter(Console()), batch)
    if as_json:
        print(json.dumps({"event": "ended"} | figures(found)))


def ingest_files(project: Project, files: Sequence[str], reporter: Reporter, batch: int = 10_000) -> Ingested:
    """Append the usage events of .jsonl and .parquet files, and of JSON lines on standard input (`-`).

    A file is checked as a whole before anything of it is committed; those before it stay. It takes no lock of the
    working folder, since commits of one lake do not disturb each other.

    Args:
        batch: events in one commit, at most.

    Raises:
        CorpusError: names the file, the row and the column that are wrong.
    """
    lake, total = Lake(project.lake_root), Ingested()
    keep = isinstance(project.queries, IngestedQueriesSettings)
    for name in files:
        path = STANDARD_INPUT if name == "-" else Path(name)
        events = usage_events(path, getattr(project.corpus, "window", None), keep)
        reporter.started("ingest", name)
        found = ingest(lake, events, batch, reporter.advanced)
        reporter.finished("ingest", name, found.batches > 0, _summary(found, keep))
        total += found
    if total.conflicts:
        reporter.warned(
            f"{len(total.conflicts)} query ids stand with more than one content, such as {total.conflicts[0]!r}; "
            "the earliest event of each counts. Give every use of the model its own id"
        )
    return total


def figures(found: Ingested) -> dict[str, object]:
    """What was ingested, as `--json` prints it."""
    return {
        "events": found.events,
        "duplicates": found.duplicates,
        "conflicts": len(found.conflicts),
        "conflicting_ids": list(found.conflicts[:SHOWN]),
        "late": found.late,
        "periods": dict(found.periods),
        "batches": found.batches,
    }


def _summary(found: Ingested, keep: bool) -> str:
    new = ", ".join(f"{count:,} in {period}" for period, count in found.periods.items())
    parts = [f"{found.events:,} events, {found.duplicates:,} duplicates; new queries: {new or 'none'}"]
    if found.late:
        parts.append(f"{found.late:,} of them late: run their months again")
    return "; ".join(parts if keep else [*parts, "content not kept"])
