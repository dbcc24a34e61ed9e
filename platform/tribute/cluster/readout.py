"""Read-out jobs: influence of units on queries, features of queries, tail patches, and influence rows.

Legend: P parameters, p of the scope, U units of the job, Q queries, R replicates, S sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import Job, chunks
from tribute.corpus import QueryTable
from tribute.readout import (
    FeatureSums,
    PerturbedModel,
    QueryRows,
    StoredResponses,
    costs,
    feature_sums,
    influence_rows,
    read_out,
    stored_responses,
)
from tribute.simulation import Design, ResponseFile, patch_responses
from tribute.tasks import FlatTask, Scope
from tribute.training import Recipe, Trajectory
from tribute_storage import Lake, StagedFile

QUERY_BLOCK = 4096
"""Queries whose units are added up at once, to bound the memory."""
UNITS_PER_JOB = 8
"""Units in a job whose models run one by one."""
SHARING_UNITS, SHARED_QUERIES = 64, 256
"""Units and queries in a job whose units share the trunk, the head or a gradient, which every job makes anew."""


UnitFiles = tuple[str, tuple[ResponseFile | None, ...]]
"""A unit and its response files in the order of the replicates."""


@dataclass(frozen=True)
class ReadOutJob(Job):
    """Read out queries, from one index to another, for some units. None: all queries."""

    method: str
    scope: str
    units: tuple[UnitFiles, ...]
    queries: tuple[int, int] | None = None

    def chosen(self, queries: QueryRows) -> QueryRows:
        """The queries of this job."""
        return queries if self.queries is None else queries.between(*self.queries)

    @property
    def size(self) -> int:
        """Units."""
        return len(self.units)


def read_out_jobs(
    method: str, scope: str, units: Sequence[UnitFiles], queries: int, *, narrow: bool
) -> list[list[ReadOutJob]]:
    """Jobs that read out all units on all queries, by units and then by queries.

    Args:
        narrow: whether some parameters of the model are outside the scope, so that the trunk may be shared.
    """
    shares = method == "adjoint" or (narrow and method != "difference")
    largest, ranges = SHARING_UNITS if shares else UNITS_PER_JOB, list[tuple[int, int] | None]([None])
    if shares and queries > SHARED_QUERIES:
        ranges = [(part[0], part[-1] + 1) for part in chunks(queries, SHARED_QUERIES)]
    return [
        [ReadOutJob(method, scope, tuple(units[u] for u in part), each) for each in ranges]
        for part in chunks(len(units), largest)
    ]


def joined_pieces(
    jobs: Sequence[Sequence[ReadOutJob]], pieces: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """The influences that `read_out_jobs` found, [R, Q, ..., U]; those of a job are [R, q, ..., u]."""
    found = iter(pieces)
    return np.concatenate([np.concatenate([next(found) for _ in of], 1) for of in jobs], -1)


@dataclass(frozen=True)
class FeatureJob(Job):
    """Sum the features of some queries (indices), by group."""

    chosen: tuple[int, ...]

    @property
    def size(self) -> int:
        """Queries."""
        return len(self.chosen)


@dataclass(frozen=True)
class PatchJob(Job):
    """Take one more training step on each of some sources (indices in the training set) and read out its gain."""

    seed: int
    trajectory: Trajectory
    step: int
    sources: tuple[int, ...]
    recording: Path | None = None

    @property
    def size(self) -> int:
        """Sources."""
        return len(self.sources)


@dataclass(frozen=True)
class WriteJob(Job):
    """Write the influence rows of some sources (indices in the corpus)."""

    run_id: str
    sources: tuple[int, ...]


def read_out_chunk(
    task: FlatTask,
    memory_gib: float,
    thetas: Sequence[NDArray],
    queries: QueryRows,
    job: ReadOutJob,
    device: torch.device,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Influence of the job's units on its queries.

    Args:
        thetas: final parameters of each replicate, [P] each.

    Returns:
        [R, Q, U] nats (NaN: that simulation failed), and the model's measurement (replicate 0), [Q].
    """
    parameters, scope, responses = loaded(task, thetas, job, device, memory_gib)
    read = read_out(job.method, scope, parameters, responses, job.chosen(queries), memory_gib)
    influence = np.stack([replicate.influence_QS.float().cpu().numpy() for replicate in read])
    return influence, read[0].measurement_Q.double().cpu().numpy()


def read_out_costs(
    task: FlatTask,
    memory_gib: float,
    thetas: Sequence[NDArray],
    queries: QueryRows,
    job: ReadOutJob,
    names: Sequence[str],
    device: torch.device,
) -> dict[str, float]:
    """Cost of some methods for the job's units in one replicate, in forward passes."""
    [theta_P, *_], scope, [response_Sp, *_] = loaded(task, thetas[:1], job, device, memory_gib)
    return costs(names, PerturbedModel(scope, theta_P, response_Sp), queries, memory_gib)


def loaded(
    task: FlatTask, thetas: Sequence[NDArray], job: ReadOutJob, device: torch.device, memory_gib: float
) -> tuple[list[torch.Tensor], Scope, list[torch.Tensor | StoredResponses]]:
    """Parameters of each replicate [P], the job's scope, and the responses in each replicate [U, p].

    Args:
        memory_gib: responses of all replicates that take more are read whenever they are used.
    """
    parameters = [torch.from_numpy(np.array(theta_P)).to(device) for theta_P in thetas]
    scope = Scope(task, job.scope)
    responses = [
        stored_responses(scope, [files[replicate] for _, files in job.units], device, memory_gib / len(thetas))
        for replicate in range(len(thetas))
    ]
    return parameters, scope, responses


def sum_features(
    task: FlatTask,
    theta: NDArray,
    queries: QueryTable,
    group_Q: NDArray[np.int64],
    groups: int,
    job: FeatureJob,
    device: torch.device,
) -> FeatureSums:
    """Summed features of the job's queries, by group."""
    table, chosen = queries.take(job.chosen), list(job.chosen)
    theta_P = torch.from_numpy(np.array(theta)).to(device)
    uses_Q = table.weights / table.inclusion
    return feature_sums(task, theta_P, QueryRows.of(table), uses_Q, group_Q[chosen], groups)


def patch_chunk(recipe: Recipe, queries: QueryRows, job: PatchJob, memory_gib: float) -> NDArray[np.float64]:
    """Gain of every query from a training step on each of the job's sources, [Q, S] nats."""
    state = job.trajectory.load(job.step, recipe.device)
    response_SP, theta_P = patch_responses(recipe, state, job.sources), recipe.task.flatten(state.theta)
    [read] = read_out("difference", Scope(recipe.task, "all"), [theta_P], [response_SP], queries, memory_gib)
    return -read.influence_QS.double().cpu().numpy()


def write_chunk(
    lake: Lake, queries: QueryRows, design: Design, influence_RQU: NDArray, names: Sequence[str], job: WriteJob
) -> list[StagedFile]:
    """Add the units up to the job's sources, and stage one Parquet file of their influence rows."""
    columns, replicates, total = job.sources, *influence_RQU.shape[:2]
    influence_RQS = np.empty((replicates, total, len(columns)), np.float32)
    error_RQS = np.zeros_like(influence_RQS)
    for begin in range(0, total, QUERY_BLOCK):
        block = slice(begin, begin + QUERY_BLOCK)
        for replicate in range(replicates):
            influence_RQS[replicate, block] = design.influence(influence_RQU[replicate, block], columns)
        if design.sampled is not None:
            mean_QU = influence_RQU[:, block].mean(0, dtype=np.float64)
            error_RQS[:, block] = design.standard_error(mean_QU, columns)
    source_ids = [names[source] for source in columns]
    rows = influence_rows(job.run_id, source_ids, queries.query_ids, influence_RQS, error_RQS)
    return [lake.stage("influence", rows)]
