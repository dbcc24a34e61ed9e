"""Read-outs in every replicate, and rows of the tables `influence` and `influence_tokens`.

Legend: P parameters, p of the scope, S responses (of sources), Q queries, R replicates, N rows, T positions of a
row, L positions of queries.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from tribute.readout.perturbed import QueryRows, ReadOut, StoredResponses
from tribute.readout.prepared import PreparedReadOut
from tribute.tasks import Scope


def read_out(
    method: str,
    scope: Scope,
    thetas: Sequence[Tensor],
    responses: Sequence[Tensor | StoredResponses],
    queries: QueryRows,
    memory_gib: float = 1.0,
) -> list[ReadOut]:
    """Read out queries in every replicate, once: `PreparedReadOut` is for many batches of queries.

    Args:
        method: a name in `METHODS`.
        thetas: final parameters of each replicate, [P].
        responses: responses in each replicate, [S, p].
        memory_gib: budget of parameters and activations evaluated at once.

    Raises:
        ConfigError: the method needs a narrow scope, or not even one row fits the budget.
    """
    return PreparedReadOut(method, scope, thetas, responses, memory_gib, kept_gib=0).read(queries)


def influence_rows(
    run_id: str,
    source_ids: Sequence[str],
    query_ids: Sequence[str],
    influence_RQS: NDArray[np.floating],
    error_RQS: NDArray[np.floating],
) -> pa.Table:
    """Rows of the table `influence`, ordered by source, replicate and query.

    Influences that are not finite as float32 have failed and get no row. Ids are dictionary-encoded; a row takes
    21 bytes.

    Args:
        influence_RQS: influences, nats.
        error_RQS: standard errors from sampled coalitions, nats.
    """
    replicates, queries, sources = influence_RQS.shape
    nats_N = _by_source(influence_RQS)
    source_N = np.repeat(np.arange(sources, dtype=np.int32), replicates * queries)
    query_N = np.tile(np.arange(queries, dtype=np.int32), sources * replicates)
    rows = pa.table(
        {
            "run_id": _texts(np.zeros(nats_N.size, np.int8), [run_id]),
            "source_id": _texts(source_N, source_ids),
            "replicate": np.tile(np.repeat(np.arange(replicates, dtype=np.int32), queries), sources),
            "query_id": _texts(query_N, query_ids),
            "influence_nats": nats_N,
            "std_error_nats": _by_source(error_RQS),
        }
    )
    finite_N = np.isfinite(nats_N)
    return rows if finite_N.all() else rows.filter(pa.array(finite_N))


def token_positions(queries: QueryRows, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The query of each position of each row, and the token of the query that it stands for, [N * T] each.

    The rows of a text overlap by one token. A task may leave out what nothing predicts: the first token of a row.

    Args:
        width: T, of the task's token_measurement.
    """
    query_N = queries.query_N
    row_N = np.arange(len(query_N)) - np.searchsorted(query_N, query_N)
    window = queries.columns["tokens"].shape[1] if "tokens" in queries.columns else 0
    step, first = (window - 1, window - width) if window > 1 and width <= window else (width, 0)
    position_NT = row_N[:, None] * step + first + np.arange(width)
    return np.repeat(query_N, width), position_NT.reshape(-1)


def token_rows(
    run_id: str,
    source_ids: Sequence[str],
    query_ids: Sequence[str],
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    influence_RLS: NDArray[np.floating],
) -> pa.Table:
    """Rows of the table `influence_tokens`; influences that are not finite as float32 have failed and get no row.

    Args:
        places: the index in `query_ids` and the position of each value, [L] each.
        influence_RLS: influences on positions, nats.
    """
    replicates, length, sources = influence_RLS.shape
    query_L, position_L = places
    nats_N, times = _by_source(influence_RLS), sources * replicates
    rows = pa.table(
        {
            "run_id": _texts(np.zeros(nats_N.size, np.int8), [run_id]),
            "source_id": _texts(np.repeat(np.arange(sources, dtype=np.int32), replicates * length), source_ids),
            "replicate": np.tile(np.repeat(np.arange(replicates, dtype=np.int32), length), sources),
            "query_id": _texts(np.tile(query_L.astype(np.int32), times), query_ids),
            "position": np.tile(position_L.astype(np.int32), times),
            "influence_nats": nats_N,
        }
    )
    return rows.filter(pa.array(np.isfinite(nats_N)))


def _by_source(values_RQS: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values_RQS.transpose(2, 0, 1), dtype=np.float32).reshape(-1)


def _texts(index_N: NDArray[np.integer], texts: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(index_N, pa.array(texts, pa.string()))
