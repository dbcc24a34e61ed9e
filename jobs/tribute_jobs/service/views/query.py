"""A use of the model: what was asked, the sources that shaped the answer, and their passages. For the operator."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal, NamedTuple

import duckdb

from tribute.config import Project
from tribute.corpus import QueryTable
from tribute.ids import excerpt, nfc
from tribute.serving.engine import FoundUse
from tribute_jobs.inquiries.examples import batch_query, kept_query
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.evidence import Passages, Verbatim, find_passages, find_verbatim
from tribute_jobs.service.views.figures import Interval, View
from tribute_jobs.service.views.scope import rows, scoped
from tribute_storage.querying.current import MEAN_OVER_REPLICATES

_QUERY = """
select q.* from queries q join runs r on r.run_id = q.run_id and r.table_name = 'queries'
where q.query_id = $query order by r.committed_at desc, q.run_id desc limit 1
"""
_RECORDED = """
select run_id from queries where query_id = $query and simulate_run = $simulate_run and origin = 'service' limit 1
"""
_SOURCES = f"""
with asked as (select 1.0 as uses)
select i.source_id, {MEAN_OVER_REPLICATES}
from influence i cross join asked q where i.run_id = $run and i.query_id = $query
group by i.source_id order by influence_nats desc, i.source_id
"""
_TITLES = """
select source_id, title from corpus_sources c
join runs r on r.run_id = c.run_id and r.table_name = 'corpus_sources'
qualify row_number() over (partition by source_id order by committed_at desc) = 1
"""
_HOLDERS = """
select source_id, list(distinct publisher_id order by publisher_id) as holders from (
    select h.*, committed_at = max(committed_at) over () as newest from rights h
    join runs r on r.run_id = h.run_id and r.table_name = 'rights'
) where newest and coalesce(valid_from <= $day, true) and coalesce($day < valid_to, true) group by source_id
"""
NOT_KEPT = (
    "The service kept no content of this use, so its passages cannot be found. serving.keep_content_days in "
    "project.yaml keeps that of later ones"
)
NOT_DRAWN = (
    "This query was predicted, and not drawn to be read out exactly. The lake keeps what was predicted in sums of "
    "the month only"
)
VERBATIM_SHOWN = 10
"""Passages that an answer shares word for word, the longest."""
ERRORS = 2.0
"""Standard errors on either side that an interval of one query spans."""


class QuerySource(View):
    """A source and what it did for one use: the mean over trainings, with two standard errors on either side."""

    source_id: str
    title: str
    publishers: tuple[str, ...]
    influence: Interval


class QueryView(View):
    """A use of the model."""

    query_id: str
    period: str
    time: datetime
    customer_id: str | None
    uses: float
    """How much it counts: its weight, divided by the probability with which it is in a sample of uses."""
    readout: Literal["exact", "distilled"]
    readout_probability: float
    similarity: float
    unlike_corpus: bool
    measurement_nats: float
    content_sha256: str
    content: str | None
    """What was measured, if the lake or the service keeps it: the text, or features as JSON."""
    prompt: str | None
    """What the model was given before it wrote the text, where that is known."""
    attribute_run: str | None
    """None: the use is not in the lake yet."""
    simulate_run: str
    sources: tuple[QuerySource, ...]
    note: str
    """What the figures leave out, and why."""
    passages: Passages | None
    verbatim: Verbatim | None
    """What the answer shares with all sources word for word."""


class _Influence(NamedTuple):
    source_id: str
    nats: float
    std_error_nats: float


class _KnownUse(NamedTuple):
    """A use as far as it was read out; `facts` are those members of its view that have the same name."""

    facts: dict[str, Any]
    influences: list[_Influence]
    live: bool


def query_view(
    project: Project,
    query_id: str,
    passages_of: str | None = None,
    passages: int = 5,
    found: FoundUse | None = None,
    content: Mapping[str, Any] | None = None,
) -> QueryView:
    """A query as the service recorded it, or else as its latest attribution in the lake has it.

    It names the customer, and sources of all publishers.

    Args:
        passages_of: the source whose passages are found; None: the one that helped most.
        passages: how many; 0: none.
        found: what the service knows of it, in the lake or on the way there. `content` likewise, where it is kept.

    Raises:
        Missing: nobody recorded such a query.
    """
    query_id = nfc(query_id)
    with scoped(project, None, "queries", "influence", "usage_events", "corpus_sources", "rights") as connection:
        read = _measured(connection, query_id) if found is None else _recorded(connection, found)
        titles = {each["source_id"]: each["title"] for each in rows(connection, _TITLES)}
        held = rows(connection, _HOLDERS, day=read.facts["time"].date())
        kept = rows(
            connection,
            "select content_json from usage where query_id = $query and content_sha256 = $sha256",
            query=query_id,
            sha256=read.facts["content_sha256"],
        )
    if kept:
        content = json.loads(kept[0]["content_json"])
    holders = {each["source_id"]: tuple(each["holders"]) for each in held}
    chosen = passages_of or (read.influences[0].source_id if read.influences else None)
    return QueryView(
        **read.facts,
        content=None if content is None else _text(content),
        prompt=None if content is None else content.get("prompt"),
        sources=tuple(
            QuerySource(
                source_id=each.source_id,
                title=titles.get(each.source_id, each.source_id),
                publishers=holders.get(each.source_id, ()),
                influence=_interval(each),
            )
            for each in read.influences
        ),
        passages=_passages(project, read, chosen, passages, content) if passages and chosen else None,
        verbatim=_verbatim(project, read, content) if passages else None,
    )


def _recorded(connection: duckdb.DuckDBPyConnection, found: FoundUse) -> _KnownUse:
    """What the service answers about a use, which it may not have brought to the lake yet."""
    shown, names = found.shown, ("query_id", "period", "readout", "readout_probability", "similarity")
    told = {name: shown[name] for name in (*names, "unlike_corpus", "measurement_nats")}
    own = {name: getattr(found, name) for name in ("time", "customer_id", "content_sha256", "simulate_run")}
    asked = {"query": shown["query_id"], "simulate_run": found.simulate_run}
    runs = [] if found.waits else rows(connection, _RECORDED, **asked)
    run = runs[0]["run_id"] if runs else None
    facts = {**told, **own, "uses": found.weight, "note": shown.get("note") or "", "attribute_run": run}
    influences = [
        _Influence(each["source_id"], each["influence_nats"], each["std_error_nats"]) for each in shown["sources"]
    ]
    return _KnownUse(facts, influences, live=True)


def _measured(connection: duckdb.DuckDBPyConnection, query_id: str) -> _KnownUse:
    """The latest attribution of a query."""
    latest = rows(connection, _QUERY, query=query_id)
    if not latest:
        raise Missing(f"No query {excerpt(query_id)} was recorded. Look at its id")
    [row] = latest
    measured = rows(connection, _SOURCES, run=row["run_id"], query=query_id)
    drawn = bool(measured) or row["readout_probability"] == 1
    names = ("query_id", "period", "time", "customer_id", "readout_probability", "similarity", "unlike_corpus")
    facts = {name: row[name] for name in (*names, "measurement_nats", "content_sha256", "simulate_run")}
    facts |= {"readout": "exact" if drawn else "distilled", "note": "" if drawn else NOT_DRAWN}
    facts |= {"uses": row["weight"] / row["inclusion_probability"], "attribute_run": row["run_id"]}
    return _KnownUse(facts, [_Influence(*each.values()) for each in measured], live=row["origin"] == "service")


def _verbatim(project: Project, read: _KnownUse, content: Mapping[str, Any] | None) -> Verbatim | None:
    query = _query_of(project, read, content)
    return None if query is None else find_verbatim(project, None, VERBATIM_SHOWN, query)


def _query_of(
    project: Project, read: _KnownUse, content: Mapping[str, Any] | None
) -> Callable[[], QueryTable] | None:
    """Finds the query itself; None: its content is not kept."""
    if not read.live:
        return partial(batch_query, project, read.facts["period"], read.facts["query_id"])
    return None if content is None else partial(kept_query, project, read.facts["query_id"], content)


def _passages(
    project: Project, read: _KnownUse, source_id: str, count: int, content: Mapping[str, Any] | None
) -> Passages:
    query_id, query = read.facts["query_id"], _query_of(project, read, content)
    if query is None:
        return Passages(query_id=query_id, source_id=source_id, found_by="", problem=NOT_KEPT)
    return find_passages(project, query_id, source_id, count, query)


def _interval(found: _Influence) -> Interval:
    error = ERRORS * found.std_error_nats
    return Interval(value=found.nats, low=found.nats - error, high=found.nats + error)


def _text(content: Mapping[str, Any]) -> str:
    """What was asked: the text, or features as JSON."""
    return str(content["text"]) if content.get("text") else json.dumps(content)
