"""Checks of this machine and of a project, each with its remedy."""

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from tribute.catalog import lineage, recorded_replicates, simulated_responses, simulation_runs
from tribute.config import Project, load_project
from tribute.errors import ConfigError, TributeError
from tribute_jobs.checks import CheckResult, Passed, check_project
from tribute_jobs.context import Inputs, locked
from tribute_storage import Lake, LakeError, clear_orphans, orphans

GIB = 2**30
ORPHAN_HOURS = 24.0
"""Age from which a file that no version names is taken for lost."""


def examine(path: Path | None, clear_after_hours: float | None = None) -> list[CheckResult]:
    """Look at the machine, and at the project if one is named.

    Args:
        clear_after_hours: delete the lake's orphans of at least this age; None: only count them.
    """
    if path is None and clear_after_hours is not None:
        raise ConfigError("--clear-orphans needs a project: tribute doctor PROJECT.yaml --clear-orphans")
    findings = list(_machine())
    if path is not None:
        try:
            project = load_project(path)
        except (TributeError, LakeError) as error:
            return [*findings, CheckResult("project", False, str(error))]
        findings += [
            CheckResult("project", True, f"{project.name} in {path}"),
            *_project(project, clear_after_hours),
        ]
    return findings


def _machine() -> Iterator[CheckResult]:
    yield CheckResult("python", sys.version_info >= (3, 11), f"{platform.python_version()} (3.11 or later)")
    standard = str(Path(sysconfig.get_paths()["stdlib"]) / "platform.py")
    yield CheckResult(
        "platform", platform.__file__ == standard, f"the standard library's module: {platform.__file__}"
    )
    names = ("torch", "ray", "duckdb", "deltalake", "mlflow", "pyarrow")
    yield CheckResult("packages", True, ", ".join(f"{name} {version(name)}" for name in names))
    yield CheckResult("processors", True, f"{os.cpu_count()} (one worker each is a good start)")
    free = shutil.disk_usage(Path.cwd()).free / GIB
    yield CheckResult("disk", free > 2, f"{free:.0f} GiB free here; checkpoints and responses need some")


def _project(project: Project, clear_after_hours: float | None) -> Iterator[CheckResult]:
    checklist = check_project(Inputs(project), None)
    checklist.look("files", lambda: _files(project))
    yield from checklist.results
    try:
        yield _orphans(project, Lake(project.lake_root), clear_after_hours)
    except (TributeError, LakeError) as error:
        yield CheckResult("orphans", False, str(error))


def _files(project: Project) -> Passed | None:
    """Every checkpoint and response has the SHA-256 that the lake has recorded."""
    try:
        lineage(project)
    except TributeError:  # other checks report it
        return None
    for replicate in recorded_replicates(project):
        replicate.final()
    for run in simulation_runs(project):
        for simulated in simulated_responses(project, run.run_id):
            for file in filter(None, simulated.files):
                file.verify()
    return Passed("every checkpoint and response has its recorded SHA-256")


def _orphans(project: Project, lake: Lake, clear_after_hours: float | None) -> CheckResult:
    """Files of killed runs: harmless to readers, but they take room. A run at work has young ones."""
    if clear_after_hours is not None:
        with locked(project):
            cleared = clear_orphans(lake, timedelta(hours=clear_after_hours))
        return CheckResult("orphans", True, f"{len(cleared)} files of interrupted runs deleted")
    found = orphans(lake, timedelta(hours=ORPHAN_HOURS))
    remedy = "clear them: tribute doctor PROJECT.yaml --clear-orphans"
    return CheckResult(
        "orphans", True, f"{len(found)} files of interrupted runs; {remedy}" if found else "no orphans"
    )
