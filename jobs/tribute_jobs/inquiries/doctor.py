"""Checks of this machine and of a project, each with its remedy."""

import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from tribute.catalog import lineage, recorded_replicates, simulated_responses, simulation_runs
from tribute.config import Project, load_project
from tribute.corpus import corpus_content, read_manifest
from tribute.errors import ConfigError, TributeError
from tribute_jobs.compute.contract import task_report
from tribute_jobs.context import locked
from tribute_jobs.last_run import LastRun, changes
from tribute_jobs.printing import styled, terminal
from tribute_storage import Lake, LakeError, clear_orphans, orphans

GIB = 2**30
ORPHAN_HOURS = 24.0
"""Age from which a file that no version names is taken for lost."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at."""

    name: str
    fine: bool
    detail: str


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


def print_findings(findings: list[CheckResult], as_json: bool) -> None:
    """A line per finding, or a JSON list."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
        return
    console = terminal()
    for finding in findings:
        mark = ("ok  ", "green") if finding.fine else ("BAD ", "red")
        console.print(styled("  ", mark, f" {finding.name:<12}{finding.detail}"), soft_wrap=True)


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
    lake = Lake(project.lake_root)
    try:
        runs = lineage(project)  # the run ids of a task of one's own depend on the model that it builds
    except TributeError as error:
        yield CheckResult("task", False, str(error))
        yield _orphans(project, lake, clear_after_hours)
        return
    if not lake.committed("corpus_sources", runs.corpus_run):
        why = LastRun(project.workdir).why("corpus", runs.corpus)
        text = (
            f"changed since the last run, so the next trains anew: {why}" if why else "not read yet: tribute run"
        )
        yield CheckResult("corpus", True, text)
        yield _task(project, None)
        yield _orphans(project, lake, clear_after_hours)
        return
    try:
        inputs = read_manifest(project.artifacts / runs.corpus_run).inputs
        changed = changes(inputs, corpus_content(project.corpus))
        yield CheckResult("corpus", not changed, changed or "the same as when it was read")
        for replicate in recorded_replicates(project):
            replicate.final()
        for run in simulation_runs(project):
            for simulated in simulated_responses(project, run.run_id):
                for file in filter(None, simulated.files):
                    file.verify()
        yield CheckResult("artifacts", True, "every checkpoint and response has its recorded SHA-256")
        yield _task(project, project.artifacts / runs.corpus_run)
    except (TributeError, LakeError) as error:
        yield CheckResult("files", False, str(error))
    yield _orphans(project, lake, clear_after_hours)


def _task(project: Project, snapshot: Path | None) -> CheckResult:
    """The contract check of the task, on a few examples."""
    try:
        report = task_report(project, snapshot)
    except TributeError as error:
        return CheckResult("corpus", False, str(error))
    texts = [finding.text for finding in report.findings]
    return CheckResult("task", report.fine, "; ".join([report.title, *texts]))


def _orphans(project: Project, lake: Lake, clear_after_hours: float | None) -> CheckResult:
    """Files of killed runs: harmless to readers, but they take room. A run at work has young ones."""
    if clear_after_hours is not None:
        with locked(project):
            cleared = clear_orphans(lake, timedelta(hours=clear_after_hours))
        return CheckResult("lake", True, f"{len(cleared)} files of interrupted runs deleted")
    found = orphans(lake, timedelta(hours=ORPHAN_HOURS))
    remedy = "clear them: tribute doctor PROJECT.yaml --clear-orphans"
    return CheckResult(
        "lake", True, f"{len(found)} files of interrupted runs; {remedy}" if found else "no orphans"
    )
