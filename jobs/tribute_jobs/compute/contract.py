"""The contract check of a project's task, on a few examples of its corpus."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tribute.catalog import SimulationRun
from tribute.config import Project
from tribute.corpus import Columns, load_source, read_corpus, read_manifest
from tribute.study import TaskReport
from tribute.study.check import checked
from tribute_jobs.context import Context


def require_contract(context: Context) -> None:
    """Check the task once in a run, before it is trained or simulated; what is only noted becomes a warning.

    Raises:
        ConfigError: names each thing that is refused, with its remedy.
    """
    if context.contract_kept:
        return
    report = task_report(context.project, context.folder(context.runs.corpus_run))
    report.refuse()
    for finding in report.findings:
        context.reporter.warned(f"Task {report.task}: {finding.text}")
    context.contract_kept = True


def method_coverage(context: Context, runs: Sequence[SimulationRun]) -> tuple[str, ...]:
    """Of each method that treats some parameters in another way than the rest, which; for the certificate."""
    project, settings = context.project, [run.settings for run in runs]
    sources = _of_snapshot(context.folder(context.runs.corpus_run))
    return checked(project.task, sources, project.training, settings, other_process=False).coverage


def task_report(project: Project, snapshot: Path | None) -> TaskReport:
    """The findings on a project's task, on examples of a corpus snapshot, or of the corpus itself.

    Raises:
        CorpusError: there is no snapshot, and the corpus cannot be read.
    """
    sources = _of_snapshot(snapshot) if snapshot else _of_corpus(project)
    return checked(project.task, sources, project.training, [project.simulation, *project.further_simulations()])


def _of_snapshot(folder: Path) -> Iterator[tuple[str, Columns]]:
    for source in read_manifest(folder).sources:
        yield source.source_id, load_source(folder, source.source_id, "train")


def _of_corpus(project: Project) -> Iterator[tuple[str, Columns]]:
    for each in read_corpus(project.corpus).sources:
        yield each.source.source_id, each.train
