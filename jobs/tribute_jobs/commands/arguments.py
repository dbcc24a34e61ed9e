"""Arguments that commands share."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tribute.config import Project


def opened(path: Path) -> "Project":
    """The project of a project.yaml; see `tribute_jobs.opening.open_project` for what it raises."""
    from tribute_jobs.opening import open_project

    return open_project(path)


def _month(text: str | None) -> str | None:
    """A month as it was given; refused before anything slow is imported."""
    from tribute.royalty.exact.calendar import period_days

    if text is not None:
        period_days(text)
    return text


ProjectFile = Annotated[Path, typer.Argument(help="The project file.", metavar="PROJECT.yaml")]
Period = Annotated[str, typer.Option(callback=_month, metavar="YYYY-MM", help="The month.")]
OptionalPeriod = Annotated[
    str | None, typer.Option(callback=_month, metavar="YYYY-MM", help="Only this month.", show_default="all")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
THIS_MONTH = date.today().strftime("%Y-%m")
