"""Which parameters the methods of an evaluation treat in another way than the rest."""

from collections.abc import Sequence

from tribute.catalog import SimulationRun
from tribute.corpus import load_sources
from tribute.study.check import checked
from tribute_jobs.context import Context


def method_coverage(context: Context, runs: Sequence[SimulationRun]) -> tuple[str, ...]:
    """Of each method that treats some parameters in another way than the rest, which; for the certificate."""
    project, settings = context.project, [run.settings for run in runs]
    sources = load_sources(context.folder(context.runs.corpus_run))
    return checked(project.task, sources, project.training, settings, other_process=False).coverage
