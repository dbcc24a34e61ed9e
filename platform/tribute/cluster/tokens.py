"""Read-out jobs by token: influences of units on the positions of queries, and rows of `influence_tokens`.

Legend: U units of the job, R replicates, N query rows, T positions of a row, L positions of queries, S sources.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.readout import ReadOutJob, WriteJob, loaded
from tribute.readout import PreparedReadOut, QueryRows, token_rows
from tribute.simulation import Design
from tribute.tasks import FlatTask
from tribute_storage import Lake, StagedFile


class TokenInfluence(NamedTuple):
    """Influences of all units on positions of queries.

    Attributes:
        query_ids: of the queries.
        query_L: index of the query of each position.
        position_L: its token.
        influence_RLU: nats; NaN where a simulation failed.
    """

    query_ids: tuple[str, ...]
    query_L: NDArray[np.int64]
    position_L: NDArray[np.int64]
    influence_RLU: NDArray[np.float32]


def read_tokens_chunk(
    task: FlatTask,
    memory_gib: float,
    thetas: Sequence[NDArray],
    queries: QueryRows,
    job: ReadOutJob,
    device: torch.device,
) -> NDArray[np.float32]:
    """Influence of the job's units on every position of every row, [R, N, T, U] nats; NaN: that simulation failed.

    Raises:
        ConfigError: the task has no `token_measurement`.
    """
    parameters, scope, responses = loaded(task, thetas, job, device, memory_gib)
    prepared = PreparedReadOut(job.method, scope, parameters, responses, memory_gib, kept_gib=0)
    return np.stack([each.float().cpu().numpy() for each in prepared.tokens_by_replicate(job.chosen(queries))])


def write_tokens_chunk(
    lake: Lake, read: TokenInfluence, design: Design, names: Sequence[str], job: WriteJob
) -> list[StagedFile]:
    """Add the units up to the job's sources, and stage one Parquet file of their rows."""
    influence_RLS = np.stack([design.influence(each, job.sources) for each in read.influence_RLU])
    source_ids = [names[source] for source in job.sources]
    places = read.query_L, read.position_L
    return [
        lake.stage("influence_tokens", token_rows(job.run_id, source_ids, read.query_ids, places, influence_RLS))
    ]
