"""The bodies of read-out jobs: units on queries, and the influence rows of sources.

Legend: P parameters, p of the scope, U units of the job, Q queries, R replicates, S sources.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import ReadOutJob, WriteJob
from tribute.config import TaskSettings
from tribute.readout import QueryRows, influence_rows, read_out
from tribute.simulation import Design
from tribute.tasks import Scope, build_task
from tribute_storage import Lake, StagedFile


def read_out_chunk(
    settings: TaskSettings,
    scope: str,
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
    parameters = [torch.from_numpy(np.array(theta_P)).to(device) for theta_P in thetas]
    task = build_task(settings)
    narrow = Scope(task, scope)
    responses = []
    for replicate in range(len(thetas)):
        nothing = torch.full((narrow.size,), torch.nan, device=device)
        files = [found[replicate] for _, found in job.units]
        responses.append(torch.stack([nothing if file is None else file.load(device) for file in files]))
    found = read_out(narrow, parameters, responses, queries)
    influence = np.stack([each.influence_QS.float().cpu().numpy() for each in found])
    return influence, found[0].measurement_Q.double().cpu().numpy()


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
