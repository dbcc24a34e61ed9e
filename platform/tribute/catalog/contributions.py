"""What queries and customers contributed to a valuation.

A source's attribution is the sum of its queries' contributions. The values of each customer's own queries divide
that customer's fee, and sum to the period's values.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import fsum

import duckdb

from tribute.catalog.report import Valuation
from tribute.catalog.uses import USAGE, customer_cap, customer_uses, valued_runs
from tribute.config import Project
from tribute.errors import ValuationError
from tribute.valuation import MAIN
from tribute.valuation.shares import exact
from tribute.valuation.uses import counted_customers
from tribute_storage import open_tables

_QUERIES = f"""
with {USAGE}
select query_id, strftime(any_value(time), '%Y-%m-%d'), any_value(customer_id), any_value(uses) as each_uses,
    sum(influence_nats::double) / any_value(replicates) as nats, any_value(unlike_corpus)
from usage join influence using (run_id, query_id) join present using (source_id)
where source_id = $source group by run_id, query_id order by abs(each_uses * nats) desc, query_id, run_id
"""

_SUMS = f"""
with {USAGE}, held as (
    select source_id, publisher_id, list_reduce(list_transform(string_split(split, '/'), lambda x: x::double),
        lambda x, y: x / y) as part
    from valuations where run_id = $value_run and level = 'line'
), sums as (
    select coalesce(customer_id, '') as customer, source_id,
        sum((uses * influence_nats)::decimal(38, 12))::double / any_value(replicates) as nats
    from influence join usage using (run_id, query_id) join present using (source_id) group by all
)
select customer, publisher_id, sum((nats * part)::decimal(38, 12))::double as nats
from sums join held using (source_id) group by all order by all
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


def customer_values(project: Project, valuation: Valuation) -> dict[str, dict[str, Decimal]]:
    """Signed value of each customer's queries, nats, by publisher and customer; '' for queries without a customer.

    v = b x + (V - b X) t / T: x is the customer's signed sum of influence over the publisher's sources (by its
    part of each), t the sum of all publishers' |x|, b the valuation's coefficient of simulated influence, V the
    publisher's value, X and T the sums of x and t over customers. What trainings and token counts tell of a
    publisher they tell of all queries, so it goes to customers by how much their queries were influenced at all.

    Summed over customers, v is the publisher's value.

    Raises:
        ValuationError: the month was read out from a sample, which does not give single customers' values; or the
            valuation does not list its attribution runs.
    """
    publishers = {row["publisher_id"]: row for row in valuation.publishers()}
    first = next(iter(publishers.values()))
    with open_tables(project.lake_root) as connection:
        runs = valued_runs(connection, valuation.run_id)
        sampled = connection.execute(
            "select count(*) from queries where list_contains($1, run_id) and readout_probability < 1", [runs]
        ).fetchone()
        if sampled and sampled[0]:
            raise ValuationError(
                "The policy divides by each customer's values, but this month was read out from a sample. Set "
                "readout.precision to null, or choose another basis"
            )
        chosen = {"simulate_run": first["simulate_run"], "period": valuation.period, "runs": runs}
        uses = customer_uses(connection, first["simulate_run"], valuation.period, runs)
        counted = counted_customers(uses, customer_cap(project)) | {"value_run": valuation.run_id}
        rows = connection.execute(_SUMS, chosen | counted).fetchall()
    by_customer: dict[str, dict[str, float]] = defaultdict(dict)
    for customer, publisher, nats in rows:
        by_customer[customer][publisher] = nats
    weight = float(json.loads(first["calibration"])["coefficients"].get(MAIN, 0.0))
    values = {name: _divided(row["value_nats"], weight, by_customer, name) for name, row in publishers.items()}
    return {name: {customer: exact(nats) for customer, nats in own.items()} for name, own in values.items()}


def _divided(
    value: float, weight: float, by_customer: Mapping[str, Mapping[str, float]], publisher: str
) -> dict[str, float]:
    """A publisher's value by customer, see `customer_values`."""
    simulated = {customer: weight * nats.get(publisher, 0.0) for customer, nats in by_customer.items()}
    size = {customer: fsum(map(abs, nats.values())) for customer, nats in by_customer.items()}
    rest, whole = value - fsum(simulated.values()), fsum(size.values()) or 1.0
    return {customer: nats + rest * size[customer] / whole for customer, nats in simulated.items()}
