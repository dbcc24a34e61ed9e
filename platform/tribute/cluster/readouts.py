"""The body of a read-out job.

Legend: P parameters, S sources of the chunk, Q queries.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import ReadOutJob
from tribute.config import TaskSettings
from tribute.readout import QueryRows, influence_rows, read_out
from tribute.tasks import build_task
from tribute_storage import Lake, StagedFile


def read_out_chunk(
    settings: TaskSettings,
    lake: Lake,
    thetas: Sequence[NDArray],
    queries: QueryRows,
    job: ReadOutJob,
    device: torch.device,
) -> tuple[list[StagedFile], NDArray[np.float64]]:
    """Influence of the job's sources on every query, staged as one Parquet file per source.

    Args:
        thetas: final parameters of each replicate, [P] each.

    Returns:
        The staged files, and the model's measurement (replicate 0) of every query, [Q], nats.
    """
    parameters = [torch.from_numpy(np.array(theta_P)).to(device) for theta_P in thetas]
    responses = [
        torch.stack([files[replicate].load(device) for _, files in job.sources])
        for replicate in range(len(thetas))
    ]
    found = read_out(build_task(settings), parameters, responses, queries)
    staged = [
        lake.stage("influence", influence_rows(job.run_id, source_id, index, queries, found))
        for index, (source_id, _) in enumerate(job.sources)
    ]
    return staged, found[0].measurement_Q.double().cpu().numpy()
