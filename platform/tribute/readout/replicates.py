"""Read-outs of some sources in every replicate, and the influence rows that record them.

Legend: P parameters, S sources, Q queries, N query rows, R replicates.
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
from tribute.tasks import FlatTask
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
    task: FlatTask, thetas: Sequence[Tensor], responses: Sequence[Tensor], queries: QueryRows
) -> list[ReadOut]:
    """The difference read-out in every replicate.

    Args:
        thetas: final parameters of each replicate, [P].
        responses: the sources' responses in each replicate, [S, P].
    """
    device = thetas[0].device
    columns = {name: torch.from_numpy(np.array(column)).to(device) for name, column in queries.columns.items()}
    query_N = torch.from_numpy(np.array(queries.query_N)).to(device)
    with torch.no_grad():
        return [
            difference(task, theta_P, response_SP, columns, query_N, len(queries.query_ids))
            for theta_P, response_SP in zip(thetas, responses, strict=True)
        ]


def influence_rows(
    run_id: str, source_id: str, source: int, queries: QueryRows, found: Sequence[ReadOut]
) -> pa.Table:
    """Rows of `influence` of one source (the column `source` of the read-outs), replicate by replicate."""
    nats = torch.cat([each.influence_QS[:, source] for each in found]).float().cpu().numpy()
    rows = {
        "run_id": [run_id] * len(nats),
        "source_id": [source_id] * len(nats),
        "replicate": np.repeat(np.arange(len(found), dtype=np.int32), len(queries.query_ids)),
        "query_id": list(queries.query_ids) * len(found),
        "influence_nats": nats,
        "std_error_nats": np.zeros(len(nats), dtype=np.float32),
    }
    return pa.table(rows, schema=SCHEMAS["influence"])
