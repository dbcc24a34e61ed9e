"""A use of the model: what was asked, the sources that shaped the answer, and their passages. For the operator."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from tribute.config import Project
from tribute.ids import excerpt, nfc
from tribute_jobs.inquiries.examples import batch_query, kept_query
from tribute_jobs.service.missing import Missing
from tribute_jobs.service.views.evidence import Passages, find_passages
from tribute_jobs.service.views.figures import Interval, View
from tribute_jobs.service.views.scope import Row, rows, scoped
from tribute_storage.querying.current import MEAN_OVER_REPLICATES, USES

_QUERY = f"""
select q.*, {USES} from queries q join runs r on r.run_id = q.run_id and r.table_name = 'queries'
where q.query_id = $query order by r.committed_at desc, q.run_id desc limit 1
"""
_SOURCES = f"""
with asked as (select 1.0 as uses)
select i.source_id, {MEAN_OVER_REPLICATES}, count(*) as replicates
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
ERRORS = 2.0
"""Standard errors on either side that an interval of one query spans."""


class QuerySource(View):
    """A source and what it did for one use: the mean over trainings, with two standard errors on either side."""

    source_id: str
    title: str
    publishers: tuple[str, ...]
    influence: Interval
    trainings: int


class QueryView(View):
    """A use of the model."""

    query_id: str
    period: str
    origin: str
    time: datetime
    customer_id: str | None
    uses: float
    readout_probability: float
    similarity: float
    unlike_corpus: bool
    measurement_nats: float
    content_sha256: str
    content: str | None
    """What was asked, if the lake or the service keeps it."""
    attribute_run: str
    simulate_run: str
    sources: tuple[QuerySource, ...]
    passages: Passages | None


def query_view(
    project: Project,
    query_id: str,
    passages_of: str | None = None,
    passages: int = 5,
    content: Mapping[str, Any] | None = None,
) -> QueryView:
    """A query as its latest attribution has it. It names the customer and sources of all publishers.

    Args:
        content: of a use that the service recorded, as far as it is kept.
        passages_of: the source whose passages are found; None: the one that helped most.
        passages: how many; 0: none.

    Raises:
        Missing: nobody recorded such a query, or it is not in the lake yet.
    """
    query_id = nfc(query_id)
    tables = ("queries", "influence", "usage_events", "corpus_sources", "rights")
    with scoped(project, None, *tables) as connection:
        found = rows(connection, _QUERY, query=query_id)
        if not found:
            raise Missing(f"No query {excerpt(query_id)} is in the lake. A new one comes with the next flush")
        row = found[0]
        sources = rows(connection, _SOURCES, run=row["run_id"], query=query_id)
        titles = {each["source_id"]: each["title"] for each in rows(connection, _TITLES)}
        held = rows(connection, _HOLDERS, day=row["time"].date())
        kept = rows(
            connection,
            "select content_json from usage where query_id = $query and content_sha256 = $sha256",
            query=query_id,
            sha256=row["content_sha256"],
        )
    holders = {each["source_id"]: tuple(each["holders"]) for each in held}
    names = ("query_id", "period", "origin", "time", "customer_id", "uses", "readout_probability", "similarity")
    more = ("unlike_corpus", "measurement_nats", "content_sha256", "simulate_run")
    chosen = passages_of or (sources[0]["source_id"] if sources else None)
    if kept:
        content = json.loads(kept[0]["content_json"])
    shaped = _passages(project, row, chosen, passages, content) if passages and chosen else None
    return QueryView(
        **{name: row[name] for name in (*names, *more)},
        content=None if content is None else _text(content),
        attribute_run=row["run_id"],
        sources=tuple(
            QuerySource(
                source_id=each["source_id"],
                title=titles.get(each["source_id"], each["source_id"]),
                publishers=holders.get(each["source_id"], ()),
                influence=_interval(each["influence_nats"], each["std_error_nats"]),
                trainings=each["replicates"],
            )
            for each in sources
        ),
        passages=shaped,
    )


def _passages(
    project: Project, row: Row, source_id: str, count: int, content: Mapping[str, Any] | None
) -> Passages:
    query_id = row["query_id"]
    if row["origin"] != "service":
        query = partial(batch_query, project, row["period"], query_id)
    elif content is None:
        return Passages(query_id=query_id, source_id=source_id, found_by="", problem=NOT_KEPT)
    else:
        query = partial(kept_query, project, query_id, content)
    return find_passages(project, query_id, source_id, count, query)


def _interval(mean: float, error: float) -> Interval:
    return Interval(value=mean, low=mean - ERRORS * error, high=mean + ERRORS * error)


def _text(content: Mapping[str, Any]) -> str:
    """What was asked: the text, or features as JSON."""
    return str(content["text"]) if content.get("text") else json.dumps(content)
