"""Read-outs of some units in every replicate, and the influence rows that record sources.

Legend: P parameters, p of the scope, S responses, Q queries, R replicates.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.readout.methods import METHODS
from tribute.readout.moved import Moved, QueryRows, ReadOut
from tribute.tasks import Scope
from tribute_storage import SCHEMAS


def read_out(
    method: str,
    scope: Scope,
    thetas: Sequence[Tensor],
    responses: Sequence[Tensor],
    queries: QueryRows,
    memory_gib: float = 1.0,
) -> list[ReadOut]:
    """The read-out in every replicate.

    Args:
        method: a name of `METHODS`.
        thetas: final parameters of each replicate, [P].
        responses: the responses in each replicate, [S, p].
    """
    with torch.no_grad():
        return [
            METHODS[method](Moved(scope, theta_P, response_Sp), queries, memory_gib)
            for theta_P, response_Sp in zip(thetas, responses, strict=True)
        ]


def influence_rows(
    run_id: str,
    source_id: str,
    query_ids: Sequence[str],
    influence_RQ: NDArray[np.floating],
    error_RQ: NDArray[np.floating],
) -> pa.Table:
    """Rows of `influence` of one source, replicate by replicate; what is not finite has failed and has no row."""
    replicates, queries = influence_RQ.shape
    rows = {
        "run_id": [run_id] * influence_RQ.size,
        "source_id": [source_id] * influence_RQ.size,
        "replicate": np.repeat(np.arange(replicates, dtype=np.int32), queries),
        "query_id": list(query_ids) * replicates,
        "influence_nats": influence_RQ.reshape(-1).astype(np.float32),
        "std_error_nats": error_RQ.reshape(-1).astype(np.float32),
    }
    table = pa.table(rows, schema=SCHEMAS["influence"])
    return table if np.isfinite(influence_RQ).all() else table.filter(np.isfinite(influence_RQ.reshape(-1)))
