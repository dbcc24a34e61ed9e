"""Reads the totals of a batch of queries by the simulations and by the retrains of spot sources.

Legend: R replicates, U units, S sources.
"""

from collections.abc import Sequence

import duckdb
import numpy as np

from tribute.catalog.runs import simulation_runs
from tribute.config import Project
from tribute.valuation.aggregate import MAIN, RETRAINED, Estimates


def estimates_run(lake: duckdb.DuckDBPyConnection, project: Project, batch_run: str | None) -> str | None:
    """The batch that a period is calibrated on: its own, or else the latest; None if nothing was retrained.

    A period that only the service attributed has no batch of its own.
    """
    runs = {run.name: run.run_id for run in simulation_runs(project)}
    row = lake.execute(
        "select run_id from estimates join (select distinct run_id, period from queries) using (run_id) "
        "where simulate_run = $1 group by run_id order by run_id = $2 desc, max(period) desc, run_id limit 1",
        [runs.get(RETRAINED), batch_run],
    ).fetchone()
    return row[0] if row else None


def read_estimates(
    lake: duckdb.DuckDBPyConnection, project: Project, attribute_run: str, source_ids: Sequence[str]
) -> Estimates:
    """The totals of a batch of queries, by every run of the project's simulation."""
    runs = {run.name: run.run_id for run in simulation_runs(project)}
    units = lake.execute(
        "select unit_id, any_value(removed) from simulations where run_id = $1 group by unit_id order by unit_id",
        [runs[MAIN]],
    ).fetchall()
    rows = lake.execute(
        "select name, unit_id, replicate, nats from estimates "
        "where run_id = $1 and list_contains($2, simulate_run)",
        [attribute_run, list(runs.values())],
    ).fetchall()
    position = {unit_id: index for index, (unit_id, _) in enumerate(units)}
    replicates = 1 + max(replicate for _, _, replicate, _ in rows)
    totals = {name: np.full((replicates, len(units)), np.nan) for name in sorted({row[0] for row in rows})}
    for name, unit_id, replicate, nats in rows:
        totals[name][replicate, position[unit_id]] = nats
    member_US = np.array([[source_id in removed for source_id in source_ids] for _, removed in units], dtype=float)
    return Estimates(attribute_run, totals, tuple(position), member_US)
