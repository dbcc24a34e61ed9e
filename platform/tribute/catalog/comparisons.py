"""Run ids of the estimators that an evaluation compares with the method that is paid by."""

from dataclasses import replace

from tribute.catalog.runs import RELEASES, SimulationRun, lineage, run_id
from tribute.config import Project, SimulationSettings
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS


def compared_estimators(project: Project) -> list[str]:
    """The estimators that `evaluation.estimators` names, except the one that is paid by.

    Raises:
        ConfigError: there is no such estimator.
    """
    names = dict.fromkeys(filter(None, project.evaluation.estimators))
    unknown = [name for name in names if name not in ESTIMATORS and name != "all"]
    if unknown:
        raise ConfigError(
            f"evaluation.estimators (--estimators) names {', '.join(map(repr, unknown))}, which is no estimator. "
            f"Choose from: all, {', '.join(ESTIMATORS)}"
        )
    chosen = list(ESTIMATORS) if "all" in names else list(names)
    return [name for name in chosen if name != project.attribution.method]


def estimator_run(project: Project, name: str) -> SimulationRun:
    """The run of an estimator with its default options."""
    main = project.simulation
    settings = SimulationSettings(mode=name, memory_gib=main.memory_gib, chunk=main.chunk)
    estimate_run = run_id("simulate", lineage(project).train_run, RELEASES["simulate"], settings.fingerprint())
    return SimulationRun(name, estimate_run, settings)


def estimator_runs(project: Project) -> list[SimulationRun]:
    """The runs of `compared_estimators`.

    An estimator that ignores the model runs on one replicate, under a run id of its own: where it is paid by, the
    same estimator has rows of every replicate.

    Raises:
        ConfigError: there is no such estimator.
    """
    runs = [estimator_run(project, name) for name in compared_estimators(project)]
    return [_of_one_replicate(run) if ESTIMATORS[run.name].model_free else run for run in runs]


def _of_one_replicate(run: SimulationRun) -> SimulationRun:
    return replace(run, run_id=run_id("simulate", run.run_id, "one replicate"))
