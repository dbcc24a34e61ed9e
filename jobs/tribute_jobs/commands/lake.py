"""`tribute lake`: upkeep of the lake's tables."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tribute_jobs.commands.arguments import AsJson, ProjectFile, opened

if TYPE_CHECKING:
    from tribute_storage import Lake

app = typer.Typer()
upkeep = typer.Typer(no_args_is_help=True)
app.add_typer(
    upkeep,
    name="lake",
    rich_help_panel="Serve and share",
    help="Maintain the lake: join small files, checkpoint logs, free space.",
)
Tables = Annotated[
    list[str] | None, typer.Option("--table", help="Only this table. Repeat it for several.", show_default="all")
]


@upkeep.command()
def compact(project: ProjectFile, table: Tables = None, as_json: AsJson = False) -> None:
    """Join small files into larger ones. Rows stay the same; older versions stay readable until `retain`."""
    from tribute_storage import compact as join

    def joined(lake: "Lake", name: str) -> tuple[dict[str, object], str]:
        files = join(lake, name)
        return {"before": files.before, "after": files.after}, f"{files.before:,} files, now {files.after:,}"

    _each_table(project, table, as_json, "compact", joined)


@upkeep.command()
def checkpoint(project: ProjectFile, table: Tables = None, as_json: AsJson = False) -> None:
    """Write the state of each table's log as one file, so that the lake opens faster."""
    from tribute_storage import checkpoint as write

    def written(lake: "Lake", name: str) -> tuple[dict[str, object], str]:
        version = write(lake, name)
        return {"version": version}, "no rows yet" if version is None else f"checkpoint of version {version}"

    _each_table(project, table, as_json, "checkpoint", written)


@upkeep.command()
def retain(
    project: ProjectFile,
    table: Tables = None,
    days: Annotated[float, typer.Option(help="Keep files replaced in the last days.", min=0)] = 30.0,
    dry_run: Annotated[bool, typer.Option(help="Delete nothing; only count.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete files that compaction replaced. `--as-of` no longer reaches versions that need them."""
    from tribute_storage import retain as delete

    def deleted(lake: "Lake", name: str) -> tuple[dict[str, object], str]:
        files = delete(lake, name, days, dry_run)
        return {"files": files}, f"{len(files):,} files {'would be ' if dry_run else ''}deleted"

    _each_table(project, table, as_json, "retain", deleted)


def _each_table(
    project: Path,
    tables: Sequence[str] | None,
    as_json: bool,
    verb: str,
    step: Callable[["Lake", str], tuple[dict[str, object], str]],
) -> None:
    """Apply `step` to every table and print its result: JSON fields, or a line of text."""
    from tribute_jobs.printing import terminal
    from tribute_jobs.progress import long_step
    from tribute_storage import SCHEMAS, Lake

    lake, console = Lake(opened(project).lake_root), terminal()
    named = tables or list(SCHEMAS)
    with long_step(verb) as advanced:
        for number, table in enumerate(named, 1):
            fields, text = step(lake, table)
            advanced(number, len(named))
            if as_json:
                print(json.dumps({"table": table} | fields))
            else:
                console.print(f"  {table:<18}{text}")
