"""Commands that hand results to others: over HTTP, and as files."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tribute_jobs.commands.arguments import AsJson, OptionalPeriod, ProjectFile, opened

app = typer.Typer()
PANEL = "Serve and share"


@app.command(rich_help_panel=PANEL)
def serve(
    projects: Annotated[
        list[Path],
        typer.Argument(metavar="PROJECT.yaml...", help="The project file; several are served together."),
    ],
) -> None:
    """Serve attributions, reports, statements and pages over HTTP, with Ray Serve.

    Without keys it serves this machine only, and everybody on it may do everything; see: tribute keys. Of several
    projects the first is at the root, and its section `serving` counts; the others are under /models/NAME.

    Example: tribute serve project.yaml, then open http://127.0.0.1:8000
    """
    opened_projects = [opened(each) for each in projects]
    from tribute_jobs.service.application import serve_projects

    serve_projects(opened_projects)


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
    from tribute_jobs.progress import long_step
    from tribute_jobs.reversal import require_single_finals
    from tribute_storage import publish as write_files

    require_single_finals(settings)
    with long_step("publish") as advanced:
        files = write_files(
            settings.lake_root,
            folder or settings.workdir / "published",
            publishers=[nfc(each) for each in publisher or ()] or None,
            operator=not publisher,
            period=period,
            advanced=advanced,
        )
    if as_json:
        sizes = [{"path": str(path), "bytes": path.stat().st_size} for path in files]
        print(json.dumps({"event": "published", "period": period, "files": sizes}))
        return
    console = terminal()
    for path in files:
        size = f"{path.stat().st_size / 2**20:,.1f} MiB"
        console.print(f"  {path}  {size}", soft_wrap=True)
