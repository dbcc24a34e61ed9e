"""Commands that hand results to others: over HTTP, and as files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tribute_jobs.commands.arguments import AsJson, OptionalPeriod, ProjectFile, opened

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

app = typer.Typer()
PANEL = "Serve and share"


@app.command(rich_help_panel=PANEL)
def serve(project: ProjectFile) -> None:
    """Serve attributions and reports over HTTP, with Ray Serve."""
    settings = opened(project)
    from tribute.serving import serve_forever

    serve_forever(settings)


@app.command(rich_help_panel=PANEL)
def publish(
    project: ProjectFile,
    folder: Annotated[
        Path | None, typer.Option("--to", help="The files' folder.", show_default="published in workdir")
    ] = None,
    publisher: Annotated[
        list[str] | None, typer.Option(help="Write only this publisher's file. Repeat it for several.")
    ] = None,
    period: OptionalPeriod = None,
    as_json: AsJson = False,
) -> None:
    """Write a read-only DuckDB file for each publisher, with its own rows only, and one for the operator."""
    settings = opened(project)
    from tribute.ids import nfc
    from tribute_jobs.printing import terminal
    from tribute_storage import publish as write_files

    console = terminal(quiet=as_json)
    with _bar(console) as bar:
        task = bar.add_task("publish", total=None)
        files = write_files(
            settings.lake_root,
            folder or settings.workdir / "published",
            publishers=[nfc(each) for each in publisher or ()] or None,
            operator=not publisher,
            period=period,
            advanced=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        sizes = [{"path": str(path), "bytes": path.stat().st_size} for path in files]
        print(json.dumps({"event": "published", "period": period, "files": sizes}))
        return
    for path in files:
        size = f"{path.stat().st_size / 2**20:,.1f} MiB"
        console.print(f"  {path}  {size}", soft_wrap=True)


def _bar(console: "Console") -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("  {task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
