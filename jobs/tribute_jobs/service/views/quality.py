"""Data quality, for the operator: what checks find, copied text, queries unlike the corpus, failures, damage."""

from tribute.config import Project
from tribute.errors import TributeError
from tribute_jobs.checks import check_project
from tribute_jobs.context import Inputs
from tribute_jobs.doctor.examination import sections
from tribute_jobs.doctor.fault import Fault, Section
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_jobs.service.views.figures import View
from tribute_jobs.service.views.months import newest_month
from tribute_jobs.service.views.scope import Row, rows, scoped
from tribute_jobs.service.views.valuations import CURRENT
from tribute_storage import LakeError

EXAMINED = ("tables", "months", "times")
"""Subjects of `tribute doctor` that a page asks for: those that only read, and start nothing."""
_DUPLICATES = """
select source_id, credited_source_id, kind, documents from corpus_duplicates d
join runs r on r.run_id = d.run_id and r.table_name = 'corpus_duplicates'
qualify committed_at = max(committed_at) over () order by documents desc, source_id, credited_source_id, kind
"""
_UNLIKE = f"""
with valued as (
    select distinct period, unnest(attribute_runs) as run_id
    from valuations semi join ({CURRENT}) using (period, run_id)
), counted as (
    from valued union
    select period, run_id from queries where origin = 'service' and period not in (select period from valued)
)
select period, count(*) as queries,
    count(*) filter (unlike_corpus) as unlike, avg(similarity) as similarity
from queries semi join counted using (period, run_id) group by period order by period desc
"""
"""Of the queries that a month's valuation counts; of a month without one, those that the service recorded."""
_FAILED = """
select run_id, any_value(mode) as mode, count(*) as simulations, count(failed_step) as failed from simulations
group by run_id order by failed desc, run_id
"""
_DIVERGED = "select count(*) as trainings, count(*) filter (lost_nats is null) as diverged from measurements"


class CopiedText(View):
    """Documents of a source that are credited to another one; to itself where it repeats itself."""

    source_id: str
    credited_source_id: str
    kind: str
    documents: int


class UnlikeCorpus(View):
    """How many queries of a month are unlike the training data."""

    period: str
    queries: int
    unlike: int
    similarity: float

    @property
    def part(self) -> float:
        """Part of the queries, 0 to 1."""
        return self.unlike / self.queries if self.queries else 0.0


class FailedSimulations(View):
    """Simulations of a run, and how many of them exploded."""

    run_id: str
    mode: str
    simulations: int
    failed: int


class CheckRow(View):
    """A check or an examination: fine or not, and the remedy in its text or warnings."""

    name: str
    fine: bool
    text: str
    warnings: tuple[str, ...] = ()


class QualityView(View):
    """The quality of a project's data.

    `unread` says why the figures are missing: a file of theirs is damaged; empty: they are there. `checks` is None
    unless they were asked for: they take seconds.
    """

    unread: str
    duplicates: tuple[CopiedText, ...]
    unlike: tuple[UnlikeCorpus, ...]
    simulations: tuple[FailedSimulations, ...]
    trainings: int
    diverged: int
    examined: tuple[CheckRow, ...]
    checks: tuple[CheckRow, ...] | None
    checked_period: str | None


def quality_view(project: Project, checked: bool = False) -> QualityView:
    """The quality of a project's data, over all publishers.

    Args:
        checked: also run the checks of `tribute check`, on the newest month.
    """
    try:
        period = newest_month(project, None)
    except (TributeError, LakeError):  # what is examined says why
        period = None
    try:
        unread = ""
        duplicates, unlike, failed, diverged = _figures(project)
    except LakeError as error:
        unread = str(error)
        duplicates, unlike, failed, diverged = [], [], [], [{"trainings": 0, "diverged": 0}]
    return QualityView(
        unread=unread,
        duplicates=tuple(CopiedText(**each) for each in duplicates),
        unlike=tuple(UnlikeCorpus(**{name: each[name] for name in UnlikeCorpus.model_fields}) for each in unlike),
        simulations=tuple(FailedSimulations(**each) for each in failed),
        trainings=diverged[0]["trainings"],
        diverged=diverged[0]["diverged"],
        examined=tuple(_row(each) for each in sections(ExaminedProject(project), EXAMINED)),
        checks=tuple(_checks(project, period)) if checked else None,
        checked_period=period,
    )


def _figures(project: Project) -> tuple[list[Row], list[Row], list[Row], list[Row]]:
    tables = ("corpus_duplicates", "queries", "valuations", "statements", "simulations", "measurements")
    with scoped(project, None, *tables) as connection:
        duplicates, unlike = rows(connection, _DUPLICATES), rows(connection, _UNLIKE)
        return duplicates, unlike, rows(connection, _FAILED), rows(connection, _DIVERGED)


def _checks(project: Project, period: str | None) -> list[CheckRow]:
    found = check_project(Inputs(project), period).results
    return [CheckRow(name=each.name, fine=each.fine, text=each.detail, warnings=each.warnings) for each in found]


def _row(section: Section) -> CheckRow:
    """What was found in a subject; that everything is fine only where nothing was."""
    text = "nothing that stops a run" if section.fine else "see below"
    return CheckRow(
        name=section.name,
        fine=section.fine,
        text=text if section.faults else section.text,
        warnings=tuple(map(_said, section.faults)),
    )


def _said(fault: Fault) -> str:
    return f"{fault.what}. {fault.remedy}" if fault.remedy else fault.what
