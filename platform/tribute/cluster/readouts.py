"""The bodies of read-out jobs: units on queries, features of queries, and the influence rows of sources.

Legend: P parameters, p of the scope, U units of the job, Q queries, R replicates, S sources.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import FeatureJob, PatchJob, ReadOutJob, WriteJob
from tribute.config import TaskSettings
from tribute.corpus import QueryTable
from tribute.readout import (
    FeatureSums,
    Moved,
    QueryRows,
    costs,
    feature_sums,
    influence_rows,
    read_out,
)
from tribute.simulation import Design, patch_responses
from tribute.tasks import Scope, build_task
from tribute.training import Recipe, State
from tribute_storage import Lake, StagedFile


def read_out_chunk(
    settings: TaskSettings,
    memory_gib: float,
    thetas: Sequence[NDArray],
    queries: QueryRows,
    job: ReadOutJob,
    device: torch.device,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Influence of the job's units on every query.

    Args:
        thetas: final parameters of each replicate, [P] each.

    Returns:
        [R, Q, U] nats (NaN: that simulation failed), and the model's measurement (replicate 0), [Q].
    """
    parameters, scope, responses = _loaded(settings, thetas, job, device)
    found = read_out(job.method, scope, parameters, responses, queries, memory_gib)
    influence = np.stack([each.influence_QS.float().cpu().numpy() for each in found])
    return influence, found[0].measurement_Q.double().cpu().numpy()


def read_out_costs(
    settings: TaskSettings,
    memory_gib: float,
    thetas: Sequence[NDArray],
    queries: QueryRows,
    job: ReadOutJob,
    names: Sequence[str],
    device: torch.device,
) -> dict[str, float]:
    """What some methods cost for the job's units in one replicate, in forward passes."""
    [theta_P, *_], scope, [response_Sp, *_] = _loaded(settings, thetas[:1], job, device)
    return costs(names, Moved(scope, theta_P, response_Sp), queries, memory_gib)


def _loaded(
    settings: TaskSettings, thetas: Sequence[NDArray], job: ReadOutJob, device: torch.device
) -> tuple[list[torch.Tensor], Scope, list[torch.Tensor]]:
    parameters = [torch.from_numpy(np.array(theta_P)).to(device) for theta_P in thetas]
    scope, responses = Scope(build_task(settings), job.scope), []
    for replicate in range(len(thetas)):
        nothing = torch.full((scope.size,), torch.nan, device=device)
        files = [found[replicate] for _, found in job.units]
        responses.append(torch.stack([nothing if file is None else file.load(device) for file in files]))
    return parameters, scope, responses


def sum_features(
    settings: TaskSettings,
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
    return feature_sums(build_task(settings), theta_P, QueryRows.of(table), uses_Q, group_Q[chosen], groups)


def patch_chunk(
    recipe: Recipe, arrays: Sequence[NDArray], queries: QueryRows, job: PatchJob, memory_gib: float
) -> NDArray[np.float64]:
    """What a training step on each of the job's sources gains on every query, [Q, S] nats.

    Args:
        arrays: the final theta [P] and the optimizer's slots.
    """
    theta_P, *slots = (torch.from_numpy(np.array(value)).to(recipe.device) for value in arrays)
    moved_SP = patch_responses(recipe, State(theta_P, tuple(slots)), job.sources)
    [found] = read_out("difference", Scope(recipe.task, "all"), [theta_P], [moved_SP], queries, memory_gib)
    return -found.influence_QS.double().cpu().numpy()


def write_chunk(
    lake: Lake, queries: QueryRows, design: Design, influence_RQU: NDArray, names: Sequence[str], job: WriteJob
) -> list[StagedFile]:
    """Add the units up to the job's sources, and stage one Parquet file per source."""
    chosen = Design(
        design.units, design.allocation_US[:, job.sources], design.jackknife_JUS[:, :, list(job.sources)]
    )
    values = [chosen.influence(each_QU) for each_QU in influence_RQU]
    errors = [chosen.standard_error(each_QU) for each_QU in influence_RQU]
    return [
        lake.stage(
            "influence",
            influence_rows(
                job.run_id,
                names[source],
                queries.query_ids,
                np.stack([each[:, column] for each in values]),
                np.stack([each[:, column] for each in errors]),
            ),
        )
        for column, source in enumerate(job.sources)
    ]
