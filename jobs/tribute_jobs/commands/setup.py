"""Commands that set a project up."""

import re
import sys
from contextlib import redirect_stdout
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from tribute.errors import ConfigError
from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile, opened
from tribute_jobs.commands.run import run_to

app = typer.Typer()
PANEL = "Set up"


@app.command(rich_help_panel=PANEL)
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo's project and results go.")] = Path("tribute-demo"),
    period: Period = THIS_MONTH,
    as_json: AsJson = False,
) -> None:
    """Run everything once, from corpus to statements, in about a minute.

    The corpus is the documentation of ten Python packages that are installed here. Each package is a source, and
    its author is the publisher. Nothing is downloaded.
    """
    run_to(opened(write_demo(folder)), period, as_json, "settle")


@app.command(rich_help_panel=PANEL)
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one.")]) -> None:
    """Write a commented project.yaml that runs as it is. Then edit it for your corpus and model.

    Example: tribute init my-project
    """
    path = write_starter(folder)
    print(f"Wrote {path}. Try it: tribute run {path} --period {THIS_MONTH}")


@app.command(rich_help_panel=PANEL)
def doctor(
    project: Annotated[
        Path | None, typer.Argument(metavar="[PROJECT.yaml]", help="Check this project too.")
    ] = None,
    as_json: AsJson = False,
    clear: Annotated[
        bool, typer.Option("--clear-orphans", help="Delete files that interrupted runs left in the lake.")
    ] = False,
    hours: Annotated[
        float, typer.Option(help="With --clear-orphans: delete files of at least this age, in hours.", min=0)
    ] = 24.0,
) -> None:
    """Check this machine, a project, and the files that its runs made. The exit code is 1 if a check fails.

    Of a month, `tribute check` looks at queries and rights too.

    Example: tribute doctor project.yaml
    """
    from tribute_jobs.checks import print_results
    from tribute_jobs.inquiries.doctor import examine

    with redirect_stdout(sys.stderr):  # what a task's own code prints is no result
        results = examine(project, hours if clear else None)
    print_results(results, as_json)
    if any(not each.fine for each in results):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def check(project: ProjectFile, period: Period = THIS_MONTH, as_json: AsJson = False) -> None:
    """Read and check everything that a month's run needs, in seconds. Nothing is changed.

    Corpus, queries, task, checkpoint, rights, agreements, pools, policy, memory and disk: all problems are listed
    at once, each with its remedy. Every command that runs stages begins with the same checks, and trains nothing
    before they pass. The exit code is 1 if a check fails. BAD is a problem, note is for you to judge.

    Example: tribute check project.yaml --period 2026-10
    """
    settings = opened(project)
    from tribute_jobs.checks import check_project, print_results
    from tribute_jobs.context import Inputs
    from tribute_jobs.progress import long_step

    with long_step("check"), redirect_stdout(sys.stderr):  # what a task's own code prints is no result
        checklist = check_project(Inputs(settings), period)
    print_results(checklist.results, as_json)
    if not checklist.fine:
        raise typer.Exit(1)


def write_starter(folder: Path) -> Path:
    """Write `project.yaml` into a folder; the project has the folder's name.

    Raises:
        ConfigError: the folder has a project.yaml already.
    """
    from tribute_storage.atomic import write_atomically

    path = folder / "project.yaml"
    if path.exists():
        raise ConfigError(f"{path} exists already. Choose another folder, or edit that file")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-_.") or "project"
    template = resources.files("tribute_jobs").joinpath("templates/project.yaml").read_text()
    write_atomically(path, template.format(name=name).encode())
    return path


def write_demo(folder: Path) -> Path:
    """The demo's project.yaml, written unless it is there."""
    path = folder / "project.yaml"
    return path if path.exists() else write_starter(folder)
