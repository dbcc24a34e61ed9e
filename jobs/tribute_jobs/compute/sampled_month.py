"""Totals of a month from one forward pass per query, and exact read-outs of a random sample of queries.

Legend: R replicates, Q queries, n sampled, U units of a run, C columns (replicate x unit of every run), G groups.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tribute.catalog import SimulationRun, recorded_replicates
from tribute.cluster import FeatureJob, chunks
from tribute.corpus import QueryTable
from tribute.readout import (
    Distilled,
    Passes,
    QueryRows,
    Sample,
    difference_estimate,
    precise_estimate,
    predicted_table,
    query_features,
)
from tribute.readout.distilled import MAX_SAMPLED_SHARE, PILOT_QUERIES
from tribute.simulation import Design, Simulated
from tribute.training import build_model
from tribute.valuation import GROUPS, query_groups, query_uses
from tribute_jobs.compute.readouts import ReadOuts

QUERIES_PER_JOB = 8192
"""Queries whose features one job sums."""
Runs = list[tuple[SimulationRun, list[Simulated]]]


@dataclass(frozen=True)
class SampledMonth:
    """The estimate, the sampled queries and their influences by run, [R, n, U], and all measurements, [Q]."""

    estimate: Distilled
    queries: QueryTable
    influence: list[NDArray[np.float32]]
    measurement_Q: NDArray[np.float64]

    @property
    def probability(self) -> float:
        """Chance of every query to be sampled."""
        return len(self.queries.query_ids) / self.estimate.sample.population

    def totals(self) -> list[NDArray[np.float64]]:
        """Totals of every run's units as the sampled queries tell them, [R, U] nats; NaN: that simulation failed.

        Real trainings are read out on the same queries, so both have the same sampling error.
        """
        uses_n = query_uses(self.queries, None) / self.probability
        return [np.einsum("q,rqu->ru", uses_n, each.astype(np.float64)) for each in self.influence]

    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predictions of the main run's units: over all queries, and over the scaled-up sample, [R, G, U] nats."""
        predicted_RGU, expanded_RGU = (
            np.stack([_by_unit(row_C, self.influence[0]) for row_C in values_GC], 1)
            for values_GC in (self.estimate.predicted_GC, self.estimate.expanded_GC)
        )
        return predicted_RGU, expanded_RGU


def sampled_month(
    read_outs: ReadOuts, queries: QueryTable, runs: Runs, design: Design, precision: float, seed: int
) -> SampledMonth | None:
    """Read out as few queries as the precision allows; None if the precision needs too large a part of them.

    Args:
        design: adds up the units of the main (first) run to sources, whose totals must be that precise.
    """
    count = len(queries.query_ids)
    if MAX_SAMPLED_SHARE * count < PILOT_QUERIES:
        return None
    order = np.random.default_rng([seed, int(queries.sha256[:8], 16)]).permutation(count)
    group_Q = query_groups(queries.query_ids)
    feature_Gd, measurement_Q = _feature_sums(read_outs, queries, group_Q)
    sampled = _Sampled(read_outs, queries, runs, group_Q, feature_Gd)
    estimate = precise_estimate(
        lambda drawn: sampled.estimate(order[:drawn]), count, sampled.per_source(design), precision
    )
    if estimate is None:
        return None
    return SampledMonth(estimate, queries.take(sampled.picked), sampled.influence, measurement_Q)


class _Sampled:
    """The exact read-outs so far."""

    def __init__(
        self,
        read_outs: ReadOuts,
        queries: QueryTable,
        runs: Runs,
        group_Q: NDArray[np.int64],
        feature_Gd: NDArray[np.float64],
    ) -> None:
        self._read_outs, self._queries, self._runs = read_outs, queries, runs
        self._group_Q, self._feature_Gd = group_Q, feature_Gd
        self.picked, self.influence = list[int](), list[NDArray[np.float32]]()
        project = read_outs.context.project
        theta_P = recorded_replicates(project)[0].final()
        self._passes = Passes(build_model(project.task, project.training), theta_P)

    def estimate(self, picked: NDArray[np.int64]) -> Distilled:
        """The estimate from these queries. The first ones are read out already."""
        fresh = self._queries.take(picked[len(self.picked) :].tolist())
        pieces = [self._read_outs.influence(run, responses, fresh)[0] for run, responses in self._runs]
        before = self.influence or [piece[:, :0] for piece in pieces]
        self.influence = [np.concatenate(pair, axis=1) for pair in zip(before, pieces, strict=True)]
        self.picked = picked.tolist()
        table, count = self._queries.take(self.picked), len(picked)
        column_nC = self.influence[0].transpose(1, 0, 2).reshape(count, -1)  # the others are only scaled up
        sample = Sample(
            len(self._queries.query_ids),
            self._group_Q[picked],
            table.weights / table.inclusion,
            query_features(self._passes, QueryRows.of(table)),
            np.nan_to_num(column_nC.astype(np.float64)),
        )
        return difference_estimate(sample, self._feature_Gd)

    def per_source(self, design: Design) -> NDArray[np.float64]:
        """Weight of each column in every source's mean over replicates, [C, S]."""
        replicates = self._read_outs.replicates
        return np.tile(design.allocation_US, (replicates, 1)) / replicates


def predicted_rows(month: SampledMonth, design: Design, source_ids: tuple[str, ...], run_id: str) -> pa.Table:
    """The rows of `predicted`, which correct sums over the sampled queries: by source, replicate and group."""
    predicted_RGS, expanded_RGS = (
        np.stack([design.influence(sum_GU) for sum_GU in sum_RGU]) for sum_RGU in month.sums()
    )
    return predicted_table(run_id, source_ids, np.arange(GROUPS), predicted_RGS, expanded_RGS)


def _feature_sums(
    read_outs: ReadOuts, queries: QueryTable, group_Q: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Summed features of all queries by group, [G, d], and every query's measurement, [Q]."""
    workers, by_group = read_outs.workers, np.argsort(group_Q, kind="stable")
    table, groups = workers.put(queries), workers.put(group_Q)
    jobs = [FeatureJob(tuple(by_group[list(c)].tolist())) for c in chunks(len(by_group), QUERIES_PER_JOB)]
    pieces = read_outs.context.run_jobs(
        "queries, their features",
        jobs,
        lambda actor, job: actor.features.remote(read_outs.first, table, groups, GROUPS, job),
    )
    measurement_Q = np.zeros(len(by_group))
    measurement_Q[by_group] = np.concatenate([piece.measurement_Q for piece in pieces])
    return np.sum([piece.feature_Gd for piece in pieces], axis=0), measurement_Q


def _by_unit(values_C: NDArray[np.float64], influence_RQU: NDArray[np.float32]) -> NDArray[np.float64]:
    """Columns by replicate and unit, [R, U]; NaN where a simulation failed."""
    replicates, _, units = influence_RQU.shape
    return np.where(np.isnan(influence_RQU).any(1), np.nan, values_C.reshape(replicates, units))
