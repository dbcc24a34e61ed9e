"""The list of checks of a project."""

from collections.abc import Callable
from pathlib import Path

from tribute.catalog import lineage
from tribute.config import Project
from tribute.files.digests import RememberedDigests
from tribute_jobs.checks.checklist import Checklist, Passed
from tribute_jobs.checks.content import check_claims, check_corpus, check_queries
from tribute_jobs.checks.model import check_evaluation, check_methods, check_model, check_task
from tribute_jobs.checks.money import (
    check_agreements,
    check_alarms,
    check_division,
    check_fees,
    check_key,
    check_order,
    check_policy,
    check_pools,
    check_rights,
    check_terms,
    check_uses,
)
from tribute_jobs.checks.space import check_disk, check_memory
from tribute_jobs.checks.subject import Subject
from tribute_jobs.context import Inputs
from tribute_jobs.last_run import LastRun
from tribute_storage import Lake, require_own, require_sound

Check = Callable[[Subject], Passed | None]


def _unheard(_name: str) -> None:
    """Tell nobody which check begins."""


OF_MONEY: dict[str, Check] = {
    "rights": check_rights,
    "agreements": check_agreements,
    "terms": check_terms,
    "fees": check_fees,
    "pools": check_pools,
    "policy": check_policy,
    "alarms": check_alarms,
    "key": check_key,
}


def check_project(
    inputs: Inputs,
    month: str | None,
    last: str = "settle",
    *,
    again: bool = True,
    on_check: Callable[[str], None] = _unheard,
) -> Checklist:
    """Check everything that a run reads, and go on after a problem.

    A check is left out only if it needs something that is wrong. Nothing is committed, and no worker is started.

    Args:
        month: whose queries and rights are checked; None: no month's.
        last: the stage that the run ends with; see `pipeline.run`.
        again: also check what was checked before a training that is committed.
        on_check: is told what begins: to try the task of a large model takes minutes.
    """
    subject, checklist = Subject(inputs, month, last, again), Checklist()

    def look(name: str, check: Check) -> bool:
        on_check("" if name == "corpus" else name)  # which counts its own parts
        return checklist.look(name, lambda: check(subject))

    if not look("lake", _check_lake):
        return checklist
    look("owner", _check_owner)
    look("claims", check_claims)
    look("corpus", check_corpus)
    look("queries", check_queries)
    methods = look("methods", check_methods)
    if look("task", check_task) and look("model", check_model) and methods and subject.sources is not None:
        look("memory", check_memory)
        look("disk", check_disk)
    look("evaluation", check_evaluation)
    if all([look(name, check) for name, check in OF_MONEY.items()]):
        look("statements", check_division)
    look("order", check_order)
    look("uses", check_uses)
    if checklist.fine:
        look("runs", _check_runs)
    return checklist


def require_sound_lake(project: Project) -> None:
    """Check that the lake's files are as they were written. What a store holds is not read for that.

    Raises:
        LakeDamaged: one is not; says which, and how many more there are.
    """
    lake, digests = Lake(project.lake_root), RememberedDigests(project.workdir / "lake_digests.json")
    require_sound(lake, lambda path: None if lake.location.remote else digests.sha256(Path(path)))
    digests.remember()


def _check_lake(subject: Subject) -> None:
    """The lake is there, and its files are as they were written."""
    require_sound_lake(subject.project)
    if subject.lake.version("corpus_sources") is None:
        LastRun(subject.project.workdir).require_none(subject.lake.root)


def _check_owner(subject: Subject) -> None:
    """The lake belongs to this project, or to none yet."""
    require_own(subject.lake, subject.project.name)


def _check_runs(subject: Subject) -> None:
    """Everything that run ids are made of can be read."""
    if subject.runs is None:
        lineage(subject.project)
