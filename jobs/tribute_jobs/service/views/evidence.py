"""The evidence behind a source's value: the answers that it shaped most, and its passages that did."""

from collections.abc import Callable, Collection
from fractions import Fraction
from math import fsum
from typing import Literal

from pydantic import Field

from tribute.catalog import source_contributions
from tribute.config import Project
from tribute.corpus import QueryTable
from tribute.errors import TributeError
from tribute.estimators import ESTIMATORS
from tribute.ids import excerpt, nfc
from tribute_jobs.inquiries.examples import batch_query, influential_examples
from tribute_jobs.inquiries.verbatim.passages import verbatim
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.figures import View
from tribute_jobs.service.views.scope import Row, rows, scoped
from tribute_jobs.service.views.valuations import period_valuation
from tribute_storage import Lake, LakeError, open_tables
from tribute_storage.publishing.pseudonyms import Pseudonyms

PASSAGES_BY = "nearest"
"""The estimator that finds passages, unless the project pays by another one: it needs no further training."""
NOT_NOW = (
    "Passages cannot be shown: the texts of the month's queries are gone, or the model or its corpus changed. Ask "
    "the operator."
)
"""What a publisher reads. The reason itself may name queries and sources of others."""
NO_INDEX = "What the answer shares word for word is not known here. Ask the operator."
"""Likewise."""


class ShapedAnswer(View):
    """A use of the model, and what a publisher's part of a source did for it. It names no customer."""

    query_id: str = Field(description="for a publisher a pseudonym, the same as in files of tribute publish")
    day: str
    uses: float
    influence_nats: float
    nats: float
    """Uses times influence, times the publisher's part of the source."""
    unlike_corpus: bool


class Passage(View):
    """A training example of a source."""

    example: int
    """Its place in the source, from 0."""
    influence: float
    """In the unit of the estimator that found it."""
    content: str


class Passages(View):
    """Passages that shaped an answer most; or, in `problem`, why there are none."""

    query_id: str = Field(description="for a publisher a pseudonym, the same as in files of tribute publish")
    source_id: str
    found_by: str
    passages: tuple[Passage, ...] = ()
    problem: str = ""


class VerbatimPassage(View):
    """A passage of a source that an answer has too."""

    source_id: str
    kind: Literal["exact", "near"] = Field(
        description="near: the same words but for case, marks, punctuation, spaces and one edit of a few words"
    )
    document: str | None = Field(description="its id; null: it was not recorded")
    number: int = Field(description="of the document among those that the source was trained on, from 0")
    position: int = Field(description="first character in the document")
    characters: int
    places: int = Field(description="how many places of the source have it; this is the first")
    text: str = Field(description="as the source has it")
    begin: int | None = Field(None, description="first character in the answer; only for the operator")
    end: int | None = Field(None, description="the one after the last character in the answer; likewise")


class Verbatim(View):
    """What an answer shares with sources word for word; or, in `problem`, why that is not known."""

    passages: tuple[VerbatimPassage, ...] = ()
    problem: str = ""


class Evidence(View):
    """What stands behind the value of a source in a month."""

    period: str
    source_id: str
    publisher_id: str
    split: str
    value_run: str
    answers: int
    """Uses of the model that were measured for the source."""
    most: tuple[ShapedAnswer, ...]
    others_nats: float
    corrections_nats: float
    total_nats: float
    passages: Passages | None
    verbatim: Verbatim | None = None
    """What that answer shares with the source word for word; None: nobody asked for passages, or it is no text."""


def evidence(
    project: Project,
    period: str,
    source_id: str,
    publisher_id: str | None,
    answers: int = 10,
    passages: int = 3,
    *,
    for_operator: bool = False,
) -> list[Evidence]:
    """The evidence of a source in a month, for each publisher with a part of it, or for the one that is named.

    Args:
        answers: how many to list; the others are summed.
        passages: how many of the source's passages to find for the answer that it helped most; 0: none.
        for_operator: with the ids of queries, and the reason why there are no passages. Both may name sources and
            customers of others, so a publisher reads pseudonyms.

    Raises:
        Missing: the month's valuation credits nobody with such a source, or not the publisher.
    """
    run = period_valuation(project, period, publisher_id).run_id
    with scoped(project, publisher_id, "valuations", "statements") as connection:
        held = rows(
            connection,
            "select * from valuations where run_id = $run and level = 'line' and source_id = $source "
            "order by publisher_id",
            run=run,
            source=nfc(source_id),
        )
        caps = rows(
            connection,
            "select any_value(json_extract_string(json, '$.policy.customer_cap')) as cap from statements "
            "where value_run = $run",
            run=run,
        )
    if not held:
        raise Missing(f"{period} credits nobody with a source {excerpt(source_id)} that you may see")
    cap = caps[0]["cap"] if caps else None
    parts = [_of_part(project, each, None if cap is None else Fraction(cap), answers, passages) for each in held]
    if for_operator:
        return parts
    pseudonyms = Pseudonyms(Lake(project.lake_root))
    return [_for_publisher(each, pseudonyms) for each in parts]


def find_passages(
    project: Project, query_id: str, source_id: str, count: int, query: Callable[[], QueryTable]
) -> Passages:
    """The passages of a source that shaped an answer most; finding them takes seconds the first time.

    Args:
        query: finds the query itself.
    """
    method = project.attribution.method
    by = method if method in ESTIMATORS else PASSAGES_BY
    told = {"query_id": query_id, "source_id": source_id, "found_by": by}
    try:
        found = influential_examples(project, query(), source_id, by, count)
    except (TributeError, LakeError) as error:
        return Passages(**told, problem=str(error))
    return Passages(**told, passages=tuple(Passage(**each) for each in found))


def find_verbatim(
    project: Project, source_ids: Collection[str] | None, count: int, query: Callable[[], QueryTable]
) -> Verbatim | None:
    """What an answer shares with some sources, or with all, word for word; None for a corpus without text.

    The index of the corpus is not made here: `tribute verbatim` makes it.
    """
    if getattr(project.corpus, "window", None) is None:
        return None
    try:
        found = verbatim(project, query(), source_ids, make=False)[:count]
    except (TributeError, LakeError) as error:
        return Verbatim(problem=str(error))
    names = VerbatimPassage.model_fields.keys()
    return Verbatim(passages=tuple(VerbatimPassage(**{name: each[name] for name in names}) for each in found))


def _of_batch(project: Project, period: str, query_id: str, source_id: str, count: int) -> Passages:
    return find_passages(project, query_id, source_id, count, lambda: batch_query(project, period, query_id))


def _for_publisher(part: Evidence, pseudonyms: Pseudonyms) -> Evidence:
    """Without the ids of queries, and without reasons that may hold one."""
    most = [each.model_copy(update={"query_id": pseudonyms.of(each.query_id)}) for each in part.most]
    passages = part.passages
    if passages is not None:
        hidden = {"query_id": pseudonyms.of(passages.query_id), "problem": passages.problem and NOT_NOW}
        passages = passages.model_copy(update=hidden)
    found = part.verbatim
    if found is not None:
        shown = (each.model_copy(update={"begin": None, "end": None}) for each in found.passages)
        found = Verbatim(passages=tuple(shown), problem=found.problem and NO_INDEX)
    return part.model_copy(update={"most": tuple(most), "passages": passages, "verbatim": found})


def _of_part(project: Project, held: Row, cap: Fraction | None, answers: int, passages: int) -> Evidence:
    split, source = float(Fraction(held["split"])), held["source_id"]
    with open_tables(project.lake_root, "valuations", "queries", "influence", "usage_events") as connection:
        found = source_contributions(connection, held["run_id"], source, cap)
    shaped = [
        ShapedAnswer(
            query_id=each.query_id,
            day=each.day,
            uses=each.uses,
            influence_nats=each.influence_nats,
            nats=split * each.nats,
            unlike_corpus=each.unlike_corpus,
        )
        for each in found
    ]
    others = fsum(each.nats for each in shaped[answers:])
    listed = fsum(each.nats for each in shaped[:answers])
    helped = max(shaped, key=lambda each: each.nats, default=None)
    return Evidence(
        period=held["period"],
        source_id=source,
        publisher_id=held["publisher_id"],
        split=held["split"],
        value_run=held["run_id"],
        answers=len(shaped),
        most=tuple(shaped[:answers]),
        others_nats=others,
        corrections_nats=held["attribution_nats"] - listed - others,
        total_nats=held["attribution_nats"],
        passages=_of_batch(project, held["period"], helped.query_id, source, passages)
        if passages and helped
        else None,
        verbatim=find_verbatim(
            project, [source], passages, lambda: batch_query(project, held["period"], helped.query_id)
        )
        if passages and helped
        else None,
    )
