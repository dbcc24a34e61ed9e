"""What `tribute lake` does to every table: compact, checkpoint, retain."""

import json
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import track

from tribute.config import Project
from tribute_storage import SCHEMAS, Lake, checkpoint, compact, retain


def compact_tables(project: Project, tables: Sequence[str] | None, as_json: bool) -> None:
    """Compact tables and say how many files each had and has."""

    def one(lake: Lake, table: str) -> tuple[dict[str, object], str]:
        found = compact(lake, table)
        return {"before": found.before, "after": found.after}, f"{found.before:,} files, now {found.after:,}"

    _each(project, tables, as_json, "compact", one)


def checkpoint_tables(project: Project, tables: Sequence[str] | None, as_json: bool) -> None:
    """Checkpoint tables and say at which version."""

    def one(lake: Lake, table: str) -> tuple[dict[str, object], str]:
        version = checkpoint(lake, table)
        return {"version": version}, "no rows yet" if version is None else f"checkpoint of version {version}"

    _each(project, tables, as_json, "checkpoint", one)


def retain_tables(
    project: Project, tables: Sequence[str] | None, days: float, dry_run: bool, as_json: bool
) -> None:
    """Delete replaced files of tables and say how many."""

    def one(lake: Lake, table: str) -> tuple[dict[str, object], str]:
        found = retain(lake, table, days, dry_run)
        return {"files": found}, f"{len(found):,} files {'would be ' if dry_run else ''}deleted"

    _each(project, tables, as_json, "retain", one)


def _each(
    project: Project,
    tables: Sequence[str] | None,
    as_json: bool,
    what: str,
    one: Callable[[Lake, str], tuple[dict[str, object], str]],
) -> None:
    lake, console = Lake(project.lake_root), Console()
    for table in track(tables or list(SCHEMAS), what, console=console, transient=True, disable=as_json):
        fields, text = one(lake, table)
        if as_json:
            print(json.dumps({"table": table} | fields))
        else:
            console.print(f"  {table:<18}{text}", highlight=False)
