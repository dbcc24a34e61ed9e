"""Sums the influence rows of a period by source, in SQL over the lake.

Sums are exact decimals, so they depend neither on the order of the rows nor on the number of threads: the same
rows give the same bits.

Legend: R replicates, G groups of queries, S sources.
"""

from collections.abc import Sequence
from fractions import Fraction

import duckdb
import numpy as np

from tribute.catalog.uses import COUNTED, customer_uses
from tribute.errors import ValuationError
from tribute.valuation.aggregate import GROUPS, SourceSums
from tribute.valuation.uses import counted_customers

_SUMS = f"""
with {COUNTED}, usage as (
    select run_id, query_id, weight / inclusion_probability / readout_probability * coalesce(counts, 1) as uses,
        unlike_corpus, readout_probability < 1 as sampled, md5_number_lower(query_id) % $groups as bucket
    from queries left join counted using (customer_id)
    where simulate_run = $simulate_run and period = $period and list_contains($attribute_runs, run_id)
)
select source_id, replicate, bucket, sum((uses * influence_nats)::decimal(38, 12)) as nats,
    coalesce(sum((uses * influence_nats)::decimal(38, 12)) filter (sampled), 0) as sampled_nats,
    coalesce(sum((uses * influence_nats)::decimal(38, 12)) filter (unlike_corpus), 0) as unlike_nats
from influence join usage using (run_id, query_id)
group by all
"""

_DRAWN = f"""
with {COUNTED}, drawn as (
    select query_id, readout_probability, weight / inclusion_probability / readout_probability
        * coalesce(counts, 1) as uses
    from queries left join counted using (customer_id) semi join influence using (run_id, query_id)
    where simulate_run = $simulate_run and period = $period and list_contains($attribute_runs, run_id)
        and readout_probability < 1
)
select sum(uses * uses * readout_probability order by query_id, uses) / sum(uses * uses order by query_id, uses)
from drawn
"""

_PREDICTED = """
select source_id, replicate, bucket, sum(predicted_nats::decimal(38, 12)), sum(expanded_nats::decimal(38, 12))
from predicted where list_contains($attribute_runs, run_id) group by all
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


def attribution_runs(
    lake: duckdb.DuckDBPyConnection, simulate_run: str, period: str, batch_run: str | None
) -> list[str]:
    """The attribution runs of a period: those that the service recorded, and the current batch."""
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
    cap: Fraction | None = None,
) -> SourceSums:
    """Sum over queries of (weight / inclusion probability) x influence: a Horvitz-Thompson total.

    If only a sample was read out exactly, its sum is corrected by the predictions of all queries (difference
    estimator). Probabilities may differ between the queries. A period without queries has sums of zero.

    Args:
        cap: the largest part of the period's uses that one customer may stand for. Above it, its uses count less.

    Raises:
        ValuationError: the period has queries and no influence.
    """
    chosen = {"simulate_run": simulate_run, "period": period, "attribute_runs": list(attribute_runs)}
    [(queries, uses)] = lake.execute(_COUNTS, chosen).fetchall()
    if not queries:
        return SourceSums.of_nothing(source_ids)
    customers = customer_uses(lake, simulate_run, period, attribute_runs) if cap is not None else {}
    counted = counted_customers(customers, cap)
    predicted = lake.execute(_PREDICTED, {"attribute_runs": chosen["attribute_runs"]}).fetchall()
    if predicted:
        _require_no_capped(counted["customers"], period)
    rows = lake.execute(_SUMS, chosen | counted | {"groups": GROUPS}).fetchall()
    if not rows:
        raise ValuationError(
            f"Too many simulations of {simulate_run} failed, so period {period} has no influence to value. "
            "`tribute sql` shows simulations.failed_step; lower simulation.horizon or training.learning_rate"
        )
    column = {source_id: index for index, source_id in enumerate(source_ids)}
    replicates = 1 + max(row[1] for row in rows)
    present_RS = np.zeros((replicates, len(column)), dtype=bool)
    for source_id, replicate in lake.execute(_PRESENT, chosen).fetchall():
        present_RS[replicate, column[source_id]] = True
    nats_RGS, residual_RGS, ood_RGS = np.zeros((3, replicates, GROUPS, len(column)))
    for source_id, replicate, bucket, nats, sampled, unlike in rows:
        place = replicate, bucket, column[source_id]
        nats_RGS[place], residual_RGS[place], ood_RGS[place] = float(nats), float(sampled), float(unlike)
    for source_id, replicate, bucket, all_nats, expanded in predicted:
        place = replicate, bucket, column[source_id]
        nats_RGS[place] += float(all_nats) - float(expanded)
        residual_RGS[place] -= float(expanded)
    nats_RGS[~np.broadcast_to(present_RS[:, None], nats_RGS.shape)] = np.nan
    counted_S = present_RS.sum(0).clip(1)
    [(drawn,)] = lake.execute(_DRAWN, chosen | counted).fetchall()
    return SourceSums(
        tuple(source_ids),
        nats_RGS,
        residual_RGS.sum(0) / counted_S,
        ood_RGS.sum((0, 1)) / counted_S,
        queries,
        float(uses),
        drawn=drawn or 0.0,
    )


def _require_no_capped(customers: Sequence[str], period: str) -> None:
    """Check that all uses of a month count in full, since predictions are kept as sums over customers."""
    if customers:
        raise ValuationError(
            f"The policy's customer_cap makes uses of {customers[0]!r} count less in {period}. Uses of the month "
            "were predicted, and the lake keeps predictions as sums over all customers. Value the month without "
            "the cap. A service that starts with it reads every use out exactly"
        )
