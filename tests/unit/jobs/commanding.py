"""Runs money commands in this process, on a lake that holds only statements."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from tests.projects import write_project
from tribute.config import Project, load_project
from tribute.errors import TributeError
from tribute.royalty.document import Statement
from tribute_jobs.cli import app
from tribute_jobs.period.settlement import Settlement, commit
from tribute_jobs.period.statements import Version
from tribute_storage import Lake, LakeError


class Ran(NamedTuple):
    """Exit code, and what was printed: an error's message where it is one."""

    code: int
    text: str


def tribute(*arguments: object) -> Ran:
    """Run `tribute ARGUMENTS`; bad input ends as in `cli.main`, anything else is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], terminal_width=100)
    if isinstance(result.exception, TributeError | LakeError):
        return Ran(2, str(result.exception))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.output)


def project_with(folder: Path, versions: Mapping[str, Sequence[Statement]]) -> Path:
    """A project whose lake holds the statements of each run; its project.yaml."""
    path = write_project(folder)
    for run_id, statements in versions.items():
        commit(lake_of(path), Settlement(Version(run_id, tuple(statements))))
    return path


def lake_of(path: Path) -> Lake:
    """The lake of a project.yaml."""
    project: Project = load_project(path)
    return Lake(project.lake_root)
