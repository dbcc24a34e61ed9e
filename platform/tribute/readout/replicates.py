"""Read-outs of some units in every replicate, and the influence rows that record sources.

Legend: P parameters, p of the scope, S responses, Q queries, N query rows, R replicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.corpus import QueryTable
from tribute.readout.difference import ReadOut, difference
from tribute.tasks import Scope
from tribute_storage import SCHEMAS


@dataclass(frozen=True)
class QueryRows:
    """What a read-out needs of queries: their ids [Q], row columns [N, ...] and the query of each row [N]."""

    query_ids: tuple[str, ...]
    columns: Mapping[str, NDArray]
    query_N: NDArray[np.int64]

    @classmethod
    def of(cls, queries: QueryTable) -> "QueryRows":
        """The rows of a query table, without its accounting."""
        return cls(queries.query_ids, queries.rows, queries.row_query)


def read_out(
    scope: Scope, thetas: Sequence[Tensor], responses: Sequence[Tensor], queries: QueryRows
) -> list[ReadOut]:
    """The difference read-out in every replicate.

    In a narrow scope, what the other parameters make of a query is computed once for all responses.

    Args:
        thetas: final parameters of each replicate, [P].
        responses: the responses in each replicate, [S, p].
    """
    device = thetas[0].device
    columns = {name: torch.from_numpy(np.array(column)).to(device) for name, column in queries.columns.items()}
    query_N = torch.from_numpy(np.array(queries.query_N)).to(device)
    with torch.no_grad():
        return [
            difference(
                scope.task_at(theta_P), scope.of(theta_P), response_SP, columns, query_N, len(queries.query_ids)
            )
            for theta_P, response_SP in zip(thetas, responses, strict=True)
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
