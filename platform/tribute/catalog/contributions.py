"""The queries whose influences sum to a source's attribution."""

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
    """A query's part of a source's attribution: uses, as the policy counts them, times influence."""

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
    """Every query that a valuation read out for a source, the largest contribution first.

    The contributions sum to the source's attribution. Exceptions: a sampled month, whose attribution includes
    predictions, and a source whose simulations all failed.

    Args:
        cap: the largest part of all uses that one customer may stand for, as in the valuation; None: no limit.

    Raises:
        ValuationError: the valuation is not in the lake, or does not list its attribution runs.
    """
    runs = valued_runs(lake, value_run)
    [(simulate_run, period)] = lake.execute(
        "select simulate_run, period from valuations where run_id = $1 limit 1", [value_run]
    ).fetchall()
    customers = customer_uses(lake, simulate_run, period, runs)
    chosen = {"simulate_run": simulate_run, "period": period, "runs": runs, "source": source_id}
    rows = lake.execute(_QUERIES, chosen | counted_customers(customers, cap)).fetchall()
    return [Contribution(*row) for row in rows]
