"""Arguments that commands share."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

ProjectFile = Annotated[Path, typer.Argument(help="the project's settings", metavar="PROJECT.yaml")]
Period = Annotated[str, typer.Option(help="the month, as YYYY-MM")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
THIS_MONTH = date.today().strftime("%Y-%m")
