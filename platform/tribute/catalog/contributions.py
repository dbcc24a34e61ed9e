"""The queries that a source's attribution is the sum of."""

from dataclasses import dataclass
from fractions import Fraction

import duckdb

from tribute.catalog.uses import USAGE, customer_uses, valued_runs
from tribute.valuation.uses import counted_customers

_QUERIES = f"""
with {USAGE}
select query_id, strftime(any_value(time), '%Y-%m-%d'), any_value(customer_id), any_value(uses) as each_uses,
    sum(influence_nats::double) / any_value(replicates) as nats, any_value(unlike_corpus)
from usage join influence using (run_id, query_id) join present using (source_id)
where source_id = $source group by run_id, query_id order by abs(each_uses * nats) desc, query_id, run_id
"""


@dataclass(frozen=True)
class Contribution:
    """A query's part of a source's attribution: uses, as the policy counts them, times influence, nats."""

    query_id: str
    day: str
    customer_id: str | None
    uses: float
    influence_nats: float
    """Mean over the replicates in which the source's simulation did not fail."""

    unlike_corpus: bool

    @property
    def nats(self) -> float:
        """Uses times influence."""
        return self.uses * self.influence_nats


def source_contributions(
    lake: duckdb.DuckDBPyConnection, value_run: str, source_id: str, cap: Fraction | None
) -> list[Contribution]:
    """Every query that a valuation summed and that the source was read out for, the largest part first.

    They sum to the source's attribution, except for what predictions add where only a sample was read out, and for
    a source whose simulations all failed.

    Args:
        cap: the policy's limit of one customer's part of the uses, which the valuation was made with.

    Raises:
        ValuationError: the valuation does not say what it summed.
    """
    runs = valued_runs(lake, value_run)
    [(simulate_run, period)] = lake.execute(
        "select simulate_run, period from valuations where run_id = $1 limit 1", [value_run]
    ).fetchall()
    customers = customer_uses(lake, simulate_run, period, runs)
    chosen = {"simulate_run": simulate_run, "period": period, "runs": runs, "source": source_id}
    rows = lake.execute(_QUERIES, chosen | counted_customers(customers, cap)).fetchall()
    return [Contribution(*row) for row in rows]
