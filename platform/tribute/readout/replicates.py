"""Read-outs in every replicate, and rows of the table `influence`.

Legend: P parameters, p of the scope, S responses (of sources), Q queries, R replicates, N rows.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from tribute.readout.perturbed import QueryRows, ReadOut
from tribute.readout.prepared import PreparedReadOut
from tribute.tasks import Scope


def read_out(
    method: str,
    scope: Scope,
    thetas: Sequence[Tensor],
    responses: Sequence[Tensor],
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


def _by_source(values_RQS: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values_RQS.transpose(2, 0, 1), dtype=np.float32).reshape(-1)


def _texts(index_N: NDArray[np.integer], texts: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(index_N, pa.array(texts, pa.string()))
