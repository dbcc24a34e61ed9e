"""The difference read-out: influence from forward evaluations alone.

Legend: P parameters, S sources, K = S + 1 parameter vectors (the first is the model itself), N query rows,
Q queries (a long text query has several rows).
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from tribute.tasks import Batch, FlatTask, ScopedTask

ROWS_PER_BATCH = 256


class ReadOut(NamedTuple):
    """Influences [Q, S] and the model's own measurements [Q], nats."""

    influence_QS: Tensor
    measurement_Q: Tensor


def difference(
    task: FlatTask | ScopedTask,
    theta_P: Tensor,
    response_SP: Tensor,
    rows: Batch,
    query_N: Tensor,
    queries: int,
) -> ReadOut:
    """I[q, s] = f(theta; q) - f(theta - Delta_s; q), summed over the rows of each query.

    Exact for the simulated removal, at the cost of one forward evaluation per source and one for the model;
    all are taken in the same stack, so that a source without response has influence exactly 0.

    Args:
        rows: columns of query rows, [N, ...].
        query_N: the query, 0 to `queries` - 1, of each row.

    Returns:
        Influences in nats, positive: the source helped the query.

    Source: arXiv 2511.19803.
    """
    theta_KP = theta_P - torch.cat([torch.zeros_like(theta_P)[None], response_SP])
    measured_QK = theta_P.new_zeros(queries, len(theta_KP))
    for batch, query_B in _batches(rows, query_N):
        values_KB = vmap(task.measure, in_dims=(0, None))(theta_KP, batch)
        measured_QK.index_add_(0, query_B, values_KB.T)
    return ReadOut(measured_QK[:, :1] - measured_QK[:, 1:], measured_QK[:, 0])


def _batches(rows: Mapping[str, Tensor], query_N: Tensor) -> Iterator[tuple[Batch, Tensor]]:
    for begin in range(0, len(query_N), ROWS_PER_BATCH):
        chosen = slice(begin, begin + ROWS_PER_BATCH)
        yield {name: column[chosen] for name, column in rows.items()}, query_N[chosen]
