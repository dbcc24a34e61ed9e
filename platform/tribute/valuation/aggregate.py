"""From influence rows to what each source was worth in a period, by SQL over the lake.

Sums are taken in exact decimals (picounits of a nat), so that they depend neither on the order of the rows nor
on the number of threads: the same rows give the same bits.

Legend: R replicates, G groups of queries, S sources.
"""

from collections.abc import Sequence
from typing import NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from tribute.errors import ValuationError

GROUPS = 128
"""Queries fall into this many groups by a hash of their id; intervals resample groups instead of queries."""

_SUMS = """
with usage as (
    select run_id, query_id, weight / inclusion_probability as uses, md5_number_lower(query_id) % $groups as bucket
    from queries
    where simulate_run = $simulate_run and period = $period and list_contains($attribute_runs, run_id)
)
select source_id, replicate, bucket, sum((uses * influence_nats)::decimal(38, 12)) as nats
from influence join usage using (run_id, query_id)
group by all
"""

_PRESENT = """
select distinct source_id, replicate from influence join queries using (run_id, query_id)
where simulate_run = $simulate_run and period = $period and list_contains($attribute_runs, run_id)
"""

_COUNTS = """
select count(*) as queries, coalesce(sum((weight / inclusion_probability)::decimal(38, 12)), 0) as uses
from queries
where simulate_run = $simulate_run and period = $period and list_contains($attribute_runs, run_id)
"""


class SourceSums(NamedTuple):
    """Usage-weighted influence of a period: per source, replicate and group of queries, nats; NaN: failed."""

    source_ids: tuple[str, ...]
    nats_RGS: NDArray[np.float64]
    queries: int
    uses: float


def attribution_runs(
    lake: duckdb.DuckDBPyConnection, simulate_run: str, period: str, batch_run: str | None
) -> list[str]:
    """The runs that make up a period: what the service recorded, and the current batch run."""
    rows = lake.execute(
        "select distinct run_id from queries where simulate_run = $1 and period = $2 "
        "and (origin = 'service' or run_id = $3) order by run_id",
        [simulate_run, period, batch_run],
    ).fetchall()
    return [run_id for (run_id,) in rows]


def source_sums(
    lake: duckdb.DuckDBPyConnection,
    simulate_run: str,
    period: str,
    attribute_runs: Sequence[str],
    source_ids: Sequence[str],
) -> SourceSums:
    """Sum over queries of (weight / inclusion probability) x influence: a Horvitz-Thompson total.

    Raises:
        ValuationError: the period has no attributed query, or no influence.
    """
    chosen = {"simulate_run": simulate_run, "period": period, "attribute_runs": list(attribute_runs)}
    [(queries, uses)] = lake.execute(_COUNTS, chosen).fetchall()
    if not queries:
        raise ValuationError(
            f"Period {period} has no attributed query for {simulate_run}. Attribute some: tribute attribute, "
            "or POST /v1/attributions to the service"
        )
    rows = lake.execute(_SUMS, chosen | {"groups": GROUPS}).fetchall()
    if not rows:
        raise ValuationError(
            f"All simulations of {simulate_run} failed, so period {period} has no influence to value. "
            "`tribute sql` shows simulations.failed_step; lower simulation.horizon or training.learning_rate"
        )
    column = {source_id: index for index, source_id in enumerate(source_ids)}
    replicates = 1 + max(replicate for _, replicate, _, _ in rows)
    nats_RGS = np.zeros((replicates, GROUPS, len(column)))
    counts = lake.execute(_PRESENT, chosen).fetchall()
    present_RS = np.zeros((replicates, len(column)), dtype=bool)
    for source_id, replicate in counts:
        present_RS[replicate, column[source_id]] = True
    for source_id, replicate, bucket, nats in rows:
        nats_RGS[replicate, bucket, column[source_id]] = float(nats)
    nats_RGS[~np.broadcast_to(present_RS[:, None], nats_RGS.shape)] = np.nan
    return SourceSums(tuple(source_ids), nats_RGS, queries, float(uses))
