"""Stage `attribute`: read out every query of the period for every source, or a sample of sufficient precision.

Legend: R replicates, Q queries, U units, S sources.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.catalog import (
    SimulationRun,
    attribution,
    customer_cap,
    query_rows,
    simulated_responses,
    simulation_runs,
)
from tribute.cluster import WriteJob, chunks
from tribute.corpus import QueryTable
from tribute.readout import QueryRows
from tribute.simulation import Design, Simulated, design_of
from tribute.valuation import query_uses
from tribute_jobs.compute.readouts import ReadOuts
from tribute_jobs.compute.sampled_month import SampledMonth, predicted_rows, sampled_month
from tribute_jobs.compute.tokens import TokenRows, require_tokens
from tribute_jobs.context import Context, StageOutput
from tribute_jobs.stages.lost import make_again
from tribute_storage import SCHEMAS, StagedFile, open_tables

BLOCK_VALUES = 2**26
"""Influences held in memory at once: queries are read out in blocks of at most this many values."""

SOURCES_PER_JOB = 64
"""Sources written by one job."""


def attribute(context: Context, period: str) -> StageOutput:
    """Commit `influence`, then `estimates` and `queries`; a period without queries is an empty batch.

    Where `readout.tokens` is set, `influence_tokens` follows.
    """
    queries = context.inputs.queries(period)
    identity = attribution(context.project, queries, period)
    run_id = identity.run_id
    new = not context.committed("queries", run_id)
    if not queries.query_ids:
        context.lake.append("queries", run_id, pa.Table.from_pylist([], SCHEMAS["queries"]))
        return StageOutput(run_id, new, f"no queries in {period}")
    if new:
        if why := context.last_run.why(f"attribute {period}", identity):
            context.reporter.planned([], {"attribute": why})
        make_again(context)
        context.reporter.started("attribute", run_id)
        AttributedBatch(context, queries, run_id).run(period)
    if context.project.readout.tokens and _write_tokens(context, queries, run_id):
        new = True
    context.last_run.remember(f"attribute {period}", identity)
    with open_tables(context.lake.root, "queries") as connection:
        [(count, exact, unlike)] = connection.execute(
            "select count(*), min(readout_probability), count(*) filter (unlike_corpus) from queries "
            "where run_id = $1",
            [run_id],
        ).fetchall()
    summary = f"{count} queries and {len(context.manifest().sources)} sources"
    summary += f", {exact:.2%} of them read out exactly" if exact < 1 else ""
    return StageOutput(run_id, new, summary + (f"; {unlike} queries are unlike the corpus" if unlike else ""))


def _write_tokens(context: Context, queries: QueryTable, run_id: str) -> bool:
    """Commit `influence_tokens` of a batch, whenever it was attributed; False if it is there already."""
    if context.committed("influence_tokens", run_id):
        return False
    require_tokens(context.project)
    make_again(context)
    context.reporter.started("attribute", run_id)
    return context.lake.commit("influence_tokens", run_id, TokenRows(context, run_id).staged(queries))


class AttributedBatch:
    """Reads out a batch of queries."""

    def __init__(self, context: Context, queries: QueryTable, run_id: str) -> None:
        self.context, self.queries, self.run_id = context, queries, run_id
        self.workers, self._read_outs = context.workers(), ReadOuts(context)
        project, self._cap = context.project, customer_cap(context.project)
        self._runs = [(run, simulated_responses(project, run.run_id)) for run in simulation_runs(project)]
        tokens = np.array([source.tokens for source in context.manifest().sources], dtype=np.float64)
        run, found = self._runs[0]
        failed = [each.failed for each in found]
        self._design = design_of(run.settings.notion, [each.unit for each in found], tokens, failed)

    def run(self, period: str) -> None:
        """Read out all runs of the simulation, and commit."""
        project, lake = self.context.project, self.context.lake
        sampled = self._sampled()
        totals, nats_Q = self._every_query() if sampled is None else self._from(sampled)
        pairs = zip(self._runs, totals, strict=True)
        rows = [row for (run, found), totals_RU in pairs for row in self._rows(run, found, totals_RU)]
        lake.append("estimates", self.run_id, pa.Table.from_pylist(rows, SCHEMAS["estimates"]))
        chance = 1.0 if sampled is None else sampled.probability
        distribution = self.context.ood_detector().assess(self.queries)
        lake.append(
            "queries",
            self.run_id,
            query_rows(project, self.queries, period, "batch", nats_Q, distribution, chance),
        )

    def _sampled(self) -> SampledMonth | None:
        settings = self.context.project.readout
        if settings.precision is None or settings.method not in ("auto", "distilled") or self._cap is not None:
            return None  # totals of a sample cannot be capped by customer
        return sampled_month(
            self._read_outs, self.queries, self._runs, self._design, settings.precision, settings.seed
        )

    def _from(self, month: SampledMonth) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
        """Totals of every run, [R, U], and measurements, from a sample. Commits its influences and predictions."""
        staged = self._write(month.queries, month.influence[0])
        self.context.lake.commit("influence", self.run_id, staged)
        rows = predicted_rows(month, self._design, self.context.source_ids(), self.run_id)
        self.context.lake.append("predicted", self.run_id, rows)
        return month.totals(), month.measurement_Q

    def _every_query(self) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
        """Totals of every run, [R, U], and measurements, from every query. Commits the main run's influences."""
        totals, nats, staged = [], [], list[StagedFile]()
        uses_Q = query_uses(self.queries, self._cap)
        for run, found in self._runs:
            totals_RU, begin = np.zeros((1, len(found))), 0
            for block in self._blocks(len(found)):
                influence_RQU, measured_Q = self._read_outs.influence(run, found, block)
                counts_Q = uses_Q[begin : begin + len(measured_Q)]
                totals_RU = totals_RU + np.einsum("q,rqu->ru", counts_Q, influence_RQU.astype(np.float64))
                begin += len(measured_Q)
                if run.name == "simulated":
                    staged += self._write(block, influence_RQU)
                    nats.append(measured_Q)
            totals.append(totals_RU)
        self.context.lake.commit("influence", self.run_id, staged)
        return totals, np.concatenate(nats)

    def _blocks(self, units: int) -> list[QueryTable]:
        largest = max(1, BLOCK_VALUES // (self._read_outs.replicates * max(units, 1)))
        cut = chunks(len(self.queries.query_ids), largest)
        return [self.queries] if len(cut) == 1 else [self.queries.take(list(chosen)) for chosen in cut]

    def _write(self, block: QueryTable, influence_RQU: NDArray) -> list[StagedFile]:
        names = self.context.source_ids()
        design: Design = self.workers.put(self._design)
        rows, values = self.workers.put(QueryRows.of(block)), self.workers.put(influence_RQU)
        jobs = [WriteJob(self.run_id, chosen) for chosen in chunks(len(names), SOURCES_PER_JOB)]
        staged = self.context.run_jobs(
            "written parts of influences",
            jobs,
            lambda actor, job: actor.write.remote(rows, design, values, names, job),
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
            for replicate in range(len(totals_RU))
            if np.isfinite(totals_RU[replicate, column])
        ]
