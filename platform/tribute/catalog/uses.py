"""The uses of a period: how much every query counts, in SQL, and how much each customer used the model."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import duckdb

from tribute.config import Project
from tribute.errors import ValuationError
from tribute.royalty.division import parse_policy

COUNTED = """
counted as (select unnest($customers::varchar[]) as customer_id, unnest($counts::double[]) as counts)
"""
"""How much each use of a customer counts; parameters from `counted_customers`. Other customers' uses count 1."""

USAGE = f"""
{COUNTED}, usage as (
    select run_id, query_id, customer_id, time, unlike_corpus,
        weight / inclusion_probability / readout_probability * coalesce(counts, 1) as uses
    from queries left join counted using (customer_id)
    where simulate_run = $simulate_run and period = $period and list_contains($runs, run_id)
), present as (
    select source_id, count(distinct replicate) as replicates
    from influence semi join usage using (run_id, query_id) group by source_id
)
"""
"""`usage`: every query of some runs, with its uses. `present`: replicates in which a source's simulation ran."""

CUSTOMERS = """
select customer_id, sum((weight / inclusion_probability)::decimal(38, 12)) as uses from queries
where simulate_run = $simulate_run and period = $period and list_contains($runs, run_id)
    and customer_id is not null
group by customer_id order by customer_id
"""


def customer_cap(project: Project) -> Fraction | None:
    """The largest part of a period's uses that one customer may stand for; None: no limit.

    Raises:
        PolicyError: the policy cannot be used.
    """
    return parse_policy(project.policy).customer_cap


def valued_runs(lake: duckdb.DuckDBPyConnection, value_run: str) -> list[str]:
    """The attribution runs that a valuation summed.

    Raises:
        ValuationError: the valuation is not in the lake, or does not list its runs.
    """
    rows = lake.execute("select attribute_runs from valuations where run_id = $1 limit 1", [value_run]).fetchall()
    if not rows:
        raise ValuationError(
            f"The lake holds no valuation {value_run}. See: tribute sql PROJECT.yaml 'from valuations'"
        )
    runs = rows[0][0]
    if runs is None:
        raise ValuationError(
            f"Valuation {value_run} does not list the attribution runs that it summed: an earlier version of "
            "tribute made it. Start a fresh working folder"
        )
    return list(runs)


def customer_uses(
    lake: duckdb.DuckDBPyConnection, simulate_run: str, period: str, runs: Sequence[str]
) -> dict[str, Decimal]:
    """Uses of every known customer in the given attribution runs of a period, before any cap."""
    chosen = {"simulate_run": simulate_run, "period": period, "runs": list(runs)}
    return dict(lake.execute(CUSTOMERS, chosen).fetchall())
