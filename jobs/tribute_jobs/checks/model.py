"""Checks of the model: the task's contract, checkpoint and recordings, estimators, what an evaluation retrains."""

from tribute.catalog import attribution, compared_estimators
from tribute.config import SimulationSettings
from tribute.errors import ConfigError, TributeError
from tribute.estimators import build_estimator
from tribute.files.local_modules import unused_file
from tribute.ids import listed
from tribute.royalty.document import repetition_words
from tribute.simulation import drawn_units
from tribute.study.check import checked, query_examples
from tribute.tasks import build_task
from tribute.tasks.contract import TaskExamples, check_measurement, refuse
from tribute.training import fitting_recording
from tribute_jobs.checks.checklist import Passed
from tribute_jobs.checks.subject import Subject
from tribute_jobs.compute.tokens import require_tokens


def check_task(subject: Subject) -> Passed:
    """The contract of the task, on examples of the corpus and of the month's queries."""
    project, queries = subject.project, _new_queries(subject)
    if project.readout.tokens:
        require_tokens(project)
    if subject.sources is None:
        return Passed(f"{build_task(project.task).size:,} parameters; not tried, for want of a corpus")
    if subject.trained and not subject.again:
        if queries is not None:
            refuse(check_measurement(subject.model, queries), project.task.name)
        return Passed(f"{project.task.name}, as it was trained")
    simulations = [each for each in (project.simulation, *project.further_simulations()) if _is_known(each)]
    report = checked(
        project.task, subject.examples(), project.training, simulations, queries, readout=project.readout
    )
    report.refuse()
    module, own, _ = project.task.name.partition(":")
    unused = unused_file(module, project.task.folder) if own else ""
    found = [f"Task {report.task}: {finding.text}" for finding in report.findings]
    return Passed(report.title, (*found, *filter(None, [unused])))


def _is_known(settings: SimulationSettings) -> bool:
    """Whether a method can be tried; the check of the methods says why not."""
    try:
        return not settings.estimated or build_estimator(settings.mode, settings.options) is not None
    except ConfigError:
        return False


def _new_queries(subject: Subject) -> TaskExamples | None:
    """A few of the month's queries; None if there are none, or none to be read out."""
    if subject.month is None:
        return None
    try:
        table = subject.inputs.queries(subject.month)
    except TributeError:  # the check of the queries reports it
        return None
    if not table.query_ids or (
        subject.trained
        and subject.lake.committed("queries", attribution(subject.project, table, subject.month).run_id)
    ):
        return None
    return query_examples(table)


def check_model(subject: Subject) -> Passed:
    """The model as its checkpoint or recordings have it, and that a batch of the training is full."""
    training, size = subject.project.training, f"{subject.model.size:,} parameters"
    if subject.sources is None or subject.trained:
        return Passed(size)
    for replicate, _ in enumerate(training.recordings):
        fitting_recording(subject.recipe(replicate))
    origin = "a checkpoint" if training.checkpoint else f"{subject.recipe().steps:,} steps"
    return Passed(f"{size}, {origin}, {training.replicates} replicates")


def check_methods(subject: Subject) -> Passed:
    """The estimators with their options, and that their number of sources is not too large."""
    project, main = subject.project, subject.project.simulation
    simulated = [main, *project.further_simulations()]
    for settings in simulated:
        if settings.estimated:
            build_estimator(settings.mode, settings.options)
    if subject.sources is not None and not subject.trained:
        _require_few(subject, len(subject.sources))
        drawn_units(main, [each.source_id for each in subject.sources], project.training.seed)
    names = [settings.mode for settings in simulated] + compared_estimators(project)
    return Passed(", ".join(dict.fromkeys(names)))


def _require_few(subject: Subject, sources: int) -> None:
    """Refuse to simulate each of more than `simulation.groups` sources: estimators do not group them."""
    project, main = subject.project, subject.project.simulation
    further = any(not each.estimated for each in project.further_simulations())
    if main.estimated and further and sources > main.groups:
        raise ConfigError(
            f"valuation.estimates would simulate each of {sources} sources. To do that, raise simulation.groups "
            f"({main.groups}) to {sources}. Otherwise use estimators alone in valuation.estimates, or pay by "
            "attribution.method simulation, which simulates groups"
        )


def check_evaluation(subject: Subject) -> Passed | None:
    """That the training can be repeated without each source, if it is to be."""
    if subject.last != "evaluate":
        return None
    project, main, sources = subject.project, subject.project.simulation, len(subject.sources or ())
    training, settings = project.training, project.evaluation
    replayed = training.repetition == "replayed"
    trainings = sources * (training.replicates if replayed else 1 + settings.seeds)
    if main.estimated and sources > main.groups:
        raise ConfigError(
            f"evaluate would retrain without each of {sources} sources, {trainings} trainings in all. To do that, "
            f"raise simulation.groups ({main.groups}) to {sources}. To retrain without groups of sources "
            f"instead, set attribution.method to simulation and add --estimators {main.mode}"
        )
    idle = sorted(settings.model_fields_set & {"seeds", "first_seed"}) if replayed else []
    of_recordings = f"A recording has one seed, so {listed(f'evaluation.{name}' for name in idle)} has no effect"
    kind = "trainings" if training.repetition == "retrained" else repetition_words(training.repetition).trainings
    return Passed(f"{trainings:,} {kind} without a source", (of_recordings,) if idle else ())
