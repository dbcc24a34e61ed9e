"""A committed valuation as people and programs read it; needs neither the science nor MLflow."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tribute_storage import Lake, open_tables

FIELDS = ("attribution_nats", "value_nats", "ci_low_nats", "ci_high_nats", "token_share", "share")
OF_PUBLISHERS = ("publisher_id", *FIELDS, "share_low", "share_high")


@dataclass(frozen=True)
class Valuation:
    """The `valuations` rows of a run, and whether this call added them."""

    run_id: str
    period: str
    rows: pa.Table
    new: bool

    def publishers(self) -> list[dict[str, Any]]:
        """The publishers' rows, the most valuable first."""
        return [row for row in self.rows.to_pylist() if row["level"] == "publisher"]


def read_valuation(lake: Lake, value_run: str) -> pa.Table:
    """The rows of a committed valuation: publishers by value, each before its lines."""
    with open_tables(lake.root, "valuations") as connection:
        return connection.sql(
            "select * from valuations where run_id = $1 "
            "order by level desc, value_nats desc, publisher_id, source_id",
            params=[value_run],
        ).to_arrow_table()


def valuation_report(valuation: Valuation) -> dict[str, Any]:
    """The report that `tribute report --json` prints and `POST /v1/reports` returns."""
    lines = [row for row in valuation.rows.to_pylist() if row["level"] == "line"]
    publishers = valuation.publishers()
    return {
        "run_id": valuation.run_id,
        "period": valuation.period,
        "expected_misallocation": publishers[0]["expected_misallocation"],
        "simulate_run": publishers[0]["simulate_run"],
        "queries": publishers[0]["queries"],
        "token_count_weight": publishers[0]["shrinkage"],
        "publishers": [
            {name: row[name] for name in OF_PUBLISHERS}
            | {
                "sources": [
                    {name: line[name] for name in ("source_id", "split", *FIELDS)}
                    for line in lines
                    if line["publisher_id"] == row["publisher_id"]
                ]
            }
            for row in publishers
        ],
    }
