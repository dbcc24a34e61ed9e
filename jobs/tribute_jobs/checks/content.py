"""Checks of what is trained on and what is asked: the corpus, claims, the queries of the month."""

from pathlib import Path

from tribute.catalog import months_with_queries, used_before
from tribute.config import CreditingSettings, HeldOutQueriesSettings, IdxQueriesSettings, Project
from tribute.corpus import QueryTable, corpus_content, idx_queries, read_corpus, read_manifest
from tribute.corpus.crediting.claims import read_claims
from tribute.errors import ConfigError, CorpusChanged, CorpusError
from tribute.ids import excerpt
from tribute_jobs.checks.checklist import Passed
from tribute_jobs.checks.subject import Subject
from tribute_jobs.last_run import LastRun, changes
from tribute_jobs.period.sequence import NAMED

MIN_QUERIES = 20
"""Fewest queries of an evaluation."""


def check_claims(subject: Subject) -> Passed | None:
    """The claim dates of sources, if a file has them."""
    claims = subject.project.corpus.duplicates.claims
    return None if claims is None else Passed(f"{len(read_claims(claims)):,} dates of claims")


def check_corpus(subject: Subject) -> Passed | None:
    """Every file of the corpus, unless there is a snapshot of the same content."""
    project = subject.project
    if subject.snapshot is not None:
        _require_unchanged(subject, subject.snapshot)
        return Passed(f"{len(subject.sources or ()):,} sources, the same as when they were read")
    try:
        check_claims(subject)
    except CorpusError:  # the check of the claims reports it; the corpus may have problems of its own
        read_corpus(project.corpus.model_copy(update={"duplicates": CreditingSettings(credit="off")}))
        return None
    sources = subject.inputs.corpus().sources
    why = subject.runs and LastRun(project.workdir).why("corpus", subject.runs.corpus)
    text = f"changed since the last run, so the next trains anew: {why}" if why else "not read before"
    return Passed(f"{len(sources):,} sources, {sum(each.tokens for each in sources):,} tokens, {text}")


def _require_unchanged(subject: Subject, snapshot: Path) -> None:
    """Check that a snapshot is of the files as they are: read them all, whatever digests are remembered."""
    if not subject.again:
        return
    changed = changes(read_manifest(snapshot).inputs, corpus_content(subject.project.corpus))
    if changed:
        raise CorpusChanged(
            f"The corpus changed, although sizes and times of its files did not: {changed}. Restore it, or delete "
            f"{subject.project.workdir / 'digests.json'} to read it anew"
        )


def check_queries(subject: Subject) -> Passed | None:
    """Every query of the month, and that it has some; without a month, every row of the usage files."""
    project, month, settings = subject.project, subject.month, subject.project.queries
    if month is None:
        return _every_month(project)
    if isinstance(settings, HeldOutQueriesSettings) and subject.sources is None:
        return None
    queries = subject.inputs.queries(month)
    count = len(queries.query_ids)
    if subject.last == "evaluate" and count < MIN_QUERIES:
        raise ConfigError(
            f"Period {month} has {count} queries, and an evaluation needs {MIN_QUERIES}: half of them tune, the "
            "other half are scored. Choose another period, or raise queries.per_source"
        )
    if not count:
        return Passed(f"none in {month}", (empty_month(project, month),))
    warnings = _repeated(project, queries, month)
    if not queries.weights.any():
        warnings.append(
            f"All queries in {month} have weight 0: every value is 0. Give those that count a weight above 0"
        )
    return Passed(f"{count:,} in {month}", tuple(warnings))


def _every_month(project: Project) -> Passed | None:
    if isinstance(project.queries, HeldOutQueriesSettings):
        return None
    if isinstance(project.queries, IdxQueriesSettings):
        return Passed(f"{len(idx_queries(project.queries).query_ids):,}, in every month")
    months = months_with_queries(project)
    return Passed(f"in {len(months)} months, the last is {months[-1]}" if months else "none in any month")


def empty_month(project: Project, month: str) -> str:
    """Warning for a month without queries, with the latest months that have some."""
    months = [each for each in months_with_queries(project) if each != month]
    known = f"There are some in {', '.join(months[-NAMED:])}" if months else "There are none in any other month"
    return (
        f"No queries in {month}: every value is 0. {known}. If the model was not used in {month}, nothing is "
        "wrong. Otherwise name the right month, or add its queries: to the usage file under `queries`, or with "
        "tribute ingest PROJECT.yaml FILE"
    )


def _repeated(project: Project, queries: QueryTable, month: str) -> list[str]:
    return [
        f"{len(ids)} query ids of {month}, such as {excerpt(ids[0])}, were used in {other} too. If they are the "
        f"same uses, remove them from {month}; if not, give each use an id of its own"
        for other, ids in used_before(project, queries, month).items()
    ]
