"""Stage `attribute`: read out every query of the period for every source.

Legend: R replicates, Q queries, U units, S sources.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.cluster import ReadOutJob, WriteJob, chunks
from tribute.corpus import QueryTable
from tribute.lineage import SimulationRun, simulation_runs
from tribute.readout import QueryRows, attribution_run, period_queries, query_rows
from tribute.simulation import Simulated, design_of, recorded_replicates, simulated_responses
from tribute_jobs.context import Context
from tribute_jobs.stages.stage import StageOutput
from tribute_storage import SCHEMAS, StagedFile

VALUES = 2**26
"""Influences held at once: queries are read out in blocks of at most this many values."""

READ_OUT = 8
"""Units read out by one job."""

SOURCES = 64
"""Sources written by one job."""


def attribute(context: Context, period: str) -> StageOutput:
    """Write `influence` rows per source as Parquet, commit them, then `estimates` and `queries` beside them."""
    queries = period_queries(context.project, period)
    run_id = attribution_run(context.project, queries, period)
    new = not context.committed("queries", run_id)
    if new:
        context.reporter.started("attribute", run_id)
        Attribution(context, queries, run_id).run(period)
    count = len(queries.query_ids)
    return StageOutput(run_id, new, f"{count} queries x {len(context.manifest().sources)} sources")


class Attribution:
    """The read-outs of a batch of queries, block by block."""

    def __init__(self, context: Context, queries: QueryTable, run_id: str) -> None:
        self.context, self.queries, self.run_id = context, queries, run_id
        self.shards = context.shards()
        thetas = [replicate.final().numpy() for replicate in recorded_replicates(context.project)]
        self._replicates, self._thetas = len(thetas), self.shards.put(thetas)

    def run(self, period: str) -> None:
        """Read out all runs of the simulation, and commit."""
        estimates = []
        for run in simulation_runs(self.context.project):
            found = simulated_responses(self.context.project, run.run_id)
            blocks = self._blocks(len(found))
            totals_RU = np.zeros((self._replicates, len(found)))
            staged, nats = [], []
            for block in blocks:
                influence_RQU, measured_Q = self._read_out(run, found, block)
                uses_Q = block.weights / block.inclusion
                totals_RU += np.einsum("q,rqu->ru", uses_Q, influence_RQU.astype(np.float64))
                if run.name == "simulated":
                    staged += self._write(run, found, block, influence_RQU)
                    nats.append(measured_Q)
            estimates += self._rows(run, found, totals_RU)
            if run.name == "simulated":
                self.context.lake.commit("influence", self.run_id, staged)
                measurement_Q = np.concatenate(nats)
        self.context.lake.append("estimates", self.run_id, pa.Table.from_pylist(estimates, SCHEMAS["estimates"]))
        rows = query_rows(self.context.project, self.queries, period, "batch", measurement_Q)
        self.context.lake.append("queries", self.run_id, rows)

    def _blocks(self, units: int) -> list[QueryTable]:
        largest = max(1, VALUES // (self._replicates * max(units, 1)))
        cut = chunks(len(self.queries.query_ids), largest)
        return [self.queries] if len(cut) == 1 else [self.queries.take(list(chosen)) for chosen in cut]

    def _read_out(
        self, run: SimulationRun, found: Sequence[Simulated], block: QueryTable
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        rows = self.shards.put(QueryRows.of(block))
        jobs = [
            ReadOutJob(tuple((found[u].unit.unit_id, found[u].files) for u in chosen))
            for chosen in chunks(len(found), READ_OUT)
        ]
        pieces = self.shards.run(
            jobs,
            lambda actor, job: actor.read_out.remote(run.settings.scope, self._thetas, rows, job),
            self.context.reporter.advanced,
        )
        return np.concatenate([influence for influence, _ in pieces], axis=2), pieces[0][1]

    def _write(
        self, run: SimulationRun, found: Sequence[Simulated], block: QueryTable, influence_RQU: NDArray
    ) -> list[StagedFile]:
        names = self.context.source_ids()
        tokens = np.array([source.tokens for source in self.context.manifest().sources], dtype=np.float64)
        units, failed = [each.unit for each in found], [each.failed for each in found]
        design = self.shards.put(design_of(run.settings.notion, units, tokens, failed))
        rows, values = self.shards.put(QueryRows.of(block)), self.shards.put(influence_RQU)
        jobs = [WriteJob(self.run_id, chosen) for chosen in chunks(len(names), SOURCES)]
        staged = self.shards.run(
            jobs, lambda actor, job: actor.write.remote(rows, design, values, names, job), None
        )
        return [file for files in staged for file in files]

    def _rows(self, run: SimulationRun, found: Sequence[Simulated], totals_RU: NDArray) -> list[dict[str, object]]:
        return [
            {
                "run_id": self.run_id,
                "simulate_run": run.run_id,
                "name": run.name,
                "unit_id": each.unit.unit_id,
                "replicate": replicate,
                "nats": float(totals_RU[replicate, column]),
            }
            for column, each in enumerate(found)
            for replicate in range(self._replicates)
            if np.isfinite(totals_RU[replicate, column])
        ]
