"""`tribute publish`: read-only DuckDB files for the operator and the publishers of a project."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tribute.config import Project
from tribute.royalty.exact.calendar import period_days
from tribute_storage import publish


def publish_files(
    project: Project,
    folder: Path | None,
    publishers: Sequence[str],
    period: str | None,
    as_json: bool,
) -> None:
    """Write the files and say where they are: a line each, or one JSON object.

    Args:
        folder: where they go; None: `published` in the working folder.
        publishers: only these publishers' files, not the operator's; none named: everybody's.
        period: only this month, as YYYY-MM; None: all months.

    Raises:
        ConfigError: the period is no month.
        LakeError: see `publish`.
    """
    if period is not None:
        period_days(period)
    console = Console(quiet=as_json)
    with _bar(console) as bar:
        task = bar.add_task("publish", total=None)
        files = publish(
            project.lake_root,
            folder or project.workdir / "published",
            publishers=publishers or None,
            operator=not publishers,
            period=period,
            advanced=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        sizes = [{"path": str(path), "bytes": path.stat().st_size} for path in files]
        print(json.dumps({"event": "published", "period": period, "files": sizes}))
        return
    for path in files:
        size = f"{path.stat().st_size / 2**20:,.1f} MiB"
        console.print(f"  {path}  {size}", markup=False, highlight=False, soft_wrap=True)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("  {task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
