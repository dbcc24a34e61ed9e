"""The queries of a period, and the rows that record them.

Legend: N query rows, Q queries.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.catalog.ingestion import ingested_queries
from tribute.catalog.runs import RELEASES, Identity, further_estimates, lineage, settings_parts
from tribute.config import (
    HeldOutQueriesSettings,
    IdxQueriesSettings,
    IngestedQueriesSettings,
    Project,
    UsageQueriesSettings,
)
from tribute.corpus import (
    OutOfDistribution,
    QueryTable,
    TextFormat,
    held_out_queries,
    idx_queries,
    load_sources,
    text_format,
    usage_queries,
)
from tribute.errors import CorpusError
from tribute.royalty.exact.calendar import period_days
from tribute_storage import SCHEMAS, open_tables


def period_queries(project: Project, period: str) -> QueryTable:
    """The queries of a period according to `project.yaml`: held-out text, ingested events, or a file."""
    settings = project.queries
    if isinstance(settings, HeldOutQueriesSettings):
        folder = project.artifacts / lineage(project).corpus_run
        return held_out_queries(dict(load_sources(folder, "held_out")), settings.per_source)
    if isinstance(settings, IdxQueriesSettings):
        return idx_queries(settings)
    form = text_format(project.corpus)
    if isinstance(settings, IngestedQueriesSettings):
        return ingested_queries(project.lake_root, period, form)
    first, after = (date.fromisoformat(day) for day in period_days(period))
    return _dated(settings, form).within(first, after)


def pilot_queries(project: Project, most: int) -> QueryTable:
    """Rows of the corpus, evenly over its sources, that a service times its read-outs with.

    They are held out of the training, or trained on where too few are held out for half of the number.

    Args:
        most: number of queries; fewer if the corpus has fewer rows.

    Raises:
        CorpusError: the corpus of these settings has not been read, or has no rows.
    """
    folder = project.artifacts / lineage(project).corpus_run
    for part, least in (("held_out", most / 2), ("train", 0)):
        examples = dict(load_sources(folder, part))
        rows_S = np.array([len(next(iter(columns.values()))) for columns in examples.values()])
        if rows_S.sum() > least:
            break
    level = next((each for each in range(1, most) if np.minimum(rows_S, each).sum() >= most), most)
    queries = held_out_queries(examples, level)
    picked = np.unique(np.linspace(0, len(queries.query_ids) - 1, most).round().astype(int))
    return queries.take(picked.tolist())


def _dated(settings: UsageQueriesSettings, form: TextFormat | None) -> QueryTable:
    """The queries of usage files, each with a time.

    Raises:
        CorpusError: a query has neither a time nor a period.
    """
    queries = usage_queries(settings.path, form)
    if None in queries.times:
        undated = [name for name, moment in zip(queries.query_ids, queries.times, strict=True) if moment is None]
        raise CorpusError(
            f"{', '.join(map(str, settings.path))}: {len(undated)} of {len(queries.query_ids)} queries, such as "
            f"{undated[0][:80]!r}, have no time, so no month is known to be theirs. Add a column time, such as "
            "2026-10-05T12:00:00+00:00, or a column period, such as 2026-10"
        )
    return queries


def used_before(project: Project, queries: QueryTable, period: str) -> dict[str, list[str]]:
    """Ids of a month's usage that were attributed in other months too, by month; held-out text repeats its ids."""
    if not isinstance(project.queries, UsageQueriesSettings):
        return {}
    with open_tables(project.lake_root, "queries") as connection:
        rows = connection.execute(
            "select distinct period, query_id from queries semi join (select unnest($1::varchar[]) as query_id) "
            "using (query_id) where period <> $2 order by all",
            [list(queries.query_ids), period],
        ).fetchall()
    found: dict[str, list[str]] = {}
    for month, query_id in rows:
        found.setdefault(month, []).append(query_id)
    return found


def months_with_queries(project: Project) -> list[str]:
    """Months with queries in the usage file, among ingested events, or attributed: `YYYY-MM`, in order."""
    settings = project.queries
    in_file = (
        _dated(settings, text_format(project.corpus)).months()
        if isinstance(settings, UsageQueriesSettings)
        else []
    )
    ingested = "union select period from usage" if isinstance(settings, IngestedQueriesSettings) else ""
    with open_tables(project.lake_root) as connection:
        rows = connection.execute(f"select period from queries {ingested}").fetchall()
    return sorted({*in_file, *(period for (period,) in rows)})


def attribution(project: Project, queries: QueryTable, period: str, origin: str = "batch") -> Identity:
    """Identity of the attribution of these queries.

    A batch also depends on what its totals depend on: the further estimates, and the cap on customers.
    """
    parts = attribution_parts(project, queries.sha256, period, origin)
    if origin == "batch":
        further = further_estimates(project)
        parts |= {"set of estimates": further.run_id} if further else {}
        parts |= {"customer_cap": str(cap)} if (cap := project.policy.get("customer_cap")) is not None else {}
    return Identity.of("attribute", parts, settings_parts("readout", project.readout))


def attribution_parts(project: Project, sha256: str, period: str, origin: str) -> dict[str, str]:
    """What determines an attribution of queries with this digest."""
    return {
        "simulation": lineage(project).simulate_run,
        "release": RELEASES["attribute"],
        "period": period,
        "origin": origin,
        "queries": sha256,
    }


def query_rows(
    project: Project,
    queries: QueryTable,
    period: str,
    origin: str,
    nats_Q: NDArray[np.float64],
    distribution: OutOfDistribution,
    readout_probability: float = 1.0,
) -> pa.Table:
    """Rows of `queries`. A query without a time gets the period's first moment.

    Args:
        nats_Q: the model's measurement of each query, nats.
        distribution: similarity of the queries to the training data.
        readout_probability: chance of every query to be read out exactly.
    """
    start = datetime.combine(date.fromisoformat(period_days(period)[0]), time(), UTC)
    count = len(queries.query_ids)
    columns: dict[str, Sequence[object]] = {
        "run_id": [attribution(project, queries, period, origin).run_id] * count,
        "simulate_run": [lineage(project).simulate_run] * count,
        "period": [period] * count,
        "query_id": queries.query_ids,
        "origin": [origin] * count,
        "time": [moment or start for moment in queries.times],
        "customer_id": queries.customers,
        "weight": queries.weights.tolist(),
        "inclusion_probability": queries.inclusion.tolist(),
        "readout_probability": [readout_probability] * count,
        "similarity": distribution.similarity_Q.tolist(),
        "unlike_corpus": distribution.is_ood_Q.tolist(),
        "measurement_nats": nats_Q.tolist(),
        "content_sha256": queries.digests,
    }
    return pa.table(columns, schema=SCHEMAS["queries"])
