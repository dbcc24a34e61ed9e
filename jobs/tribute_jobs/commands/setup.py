"""Commands that set a project up."""

import json
import re
import sys
from contextlib import redirect_stdout
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tribute.errors import ConfigError
from tribute_jobs.commands.arguments import THIS_MONTH, AsJson, Period, ProjectFile, opened
from tribute_jobs.commands.run import run_to
from tribute_jobs.exit_codes import ExitCode
from tribute_jobs.printing import copyable, printable

if TYPE_CHECKING:
    from tribute_jobs.doctor.fault import Section

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
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one.")],
    as_json: AsJson = False,
) -> None:
    """Write a commented project.yaml that runs as it is. Then edit it for your corpus and model.

    Example: tribute init my-project
    """
    path = write_starter(folder)
    if as_json:
        print(json.dumps({"event": "written", "path": str(path)}))
    else:
        print(f"Wrote {path}. Try it: tribute run {path} --period {THIS_MONTH}")


@app.command(rich_help_panel=PANEL)
def doctor(
    project: Annotated[
        Path | None, typer.Argument(metavar="[PROJECT.yaml]", help="Examine this project too.")
    ] = None,
    as_json: AsJson = False,
    repair: Annotated[bool, typer.Option("--repair", help="Do what is safe, after listing it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --repair: do not ask.")] = False,
    hours: Annotated[
        float, typer.Option(help="What nobody names is left over from this age, in hours.", min=0)
    ] = 24.0,
) -> None:
    """Name everything that is wrong with this machine and a project, each with its remedy.

    It compares every file that a run made with the recorded SHA-256, looks for what interrupted commands left
    behind, and tells whether the next run has room. BAD is a fault, note is for you to judge. Exit code 1: a
    fault.

    --repair lists what is safe, and does it after a question, or at once with --yes. It deletes damaged files that
    a command makes again to the same bytes, orphans and temporary files. It lets records name the folder after a
    move, and restores a trashed MLflow experiment. It changes no recorded digest, and deletes nothing that a
    statement rests on.

    What is not safe is left, with its remedy, and the exit code is 1.

    Of a month, `tribute check` looks at queries and rights too.

    Example: tribute doctor project.yaml --repair
    """
    from tribute_jobs.doctor.machine import machine_sections
    from tribute_jobs.doctor.printing import print_sections

    if repair and project is None:
        raise ConfigError("--repair needs a project: tribute doctor PROJECT.yaml --repair")
    if repair and project is not None:
        fine = repaired(project, hours, as_json=as_json, yes=yes)
    else:
        sections = [*machine_sections(), *(examined(project, hours) if project else ())]
        print_sections(sections, as_json)
        fine = all(section.fine for section in sections)
    if not fine:
        raise typer.Exit(ExitCode.FOUND)


def examined(project: Path, hours: float) -> "list[Section]":
    """Everything that is wrong with a project."""
    from tribute_jobs.doctor.examination import examine
    from tribute_jobs.progress import long_step

    with long_step("doctor") as advanced, redirect_stdout(sys.stderr):  # a task's own code may print
        return examine(project, hours, advanced)


def repaired(project: Path, hours: float, *, as_json: bool, yes: bool) -> bool:
    """List what a repair of a project does, ask, and do it; whether no fault is left."""
    from tribute_jobs.context import locked
    from tribute_jobs.doctor.repair import planned, print_done, repair, unmended

    with locked(opened(project)):
        sections = examined(project, hours)
        steps = planned(sections)
        for step in steps if not as_json else ():
            print(f"  {printable(copyable(step))}")
        if steps and not yes:
            if as_json or not sys.stdin.isatty():
                raise ConfigError(f"{len(steps)} steps of a repair are not done. Add --yes to do them")
            typer.confirm("Do all of this?", abort=True)
        done = [*repair(sections), *unmended(sections)]
    print_done(done, as_json)
    return all(each.problem is None for each in done)


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

    with long_step("check") as advanced, redirect_stdout(sys.stderr):  # what a task's own code prints is no result
        checklist = check_project(Inputs(settings, advanced), period)
    print_results(checklist.results, as_json)
    if not checklist.fine:
        raise typer.Exit(ExitCode.FOUND)


def write_starter(folder: Path, budget: int = 20) -> Path:
    """Write `project.yaml` into a folder; the project has the folder's name.

    Args:
        budget: trainings without some sources, at most.

    Raises:
        ConfigError: the folder has a project.yaml already.
    """
    from tribute_storage.atomic import write_atomically

    path = folder / "project.yaml"
    if path.exists():
        raise ConfigError(f"{path} exists already. Choose another folder, or edit that file")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-_.") or "project"
    template = resources.files("tribute_jobs").joinpath("templates/project.yaml").read_text()
    write_atomically(path, template.format(name=name, budget=budget).encode())
    return path


def write_demo(folder: Path) -> Path:
    """The demo's project.yaml, written unless it is there: it shows the way in a minute, and is less precise."""
    path = folder / "project.yaml"
    return path if path.exists() else write_starter(folder, budget=10)
