"""Read-outs of some units in every replicate, and the influence rows that record sources.

Legend: P parameters, p of the scope, S responses (of sources), Q queries, R replicates, N rows.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.readout.methods import METHODS
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut
from tribute.tasks import Scope


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
            METHODS[method](PerturbedModel(scope, theta_P, response_Sp), queries, memory_gib)
            for theta_P, response_Sp in zip(thetas, responses, strict=True)
        ]


def influence_rows(
    run_id: str,
    source_ids: Sequence[str],
    query_ids: Sequence[str],
    influence_RQS: NDArray[np.floating],
    error_RQS: NDArray[np.floating],
) -> pa.Table:
    """Rows of `influence`: source by source, and of each replicate by replicate, every query.

    What is not finite as float32 has failed and has no row. Ids are dictionary-encoded: a row takes 21 bytes.
    Shapes: R replicates, Q queries, S sources; influences and their read-out errors in nats.
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
    found_N = np.isfinite(nats_N)
    return rows if found_N.all() else rows.filter(pa.array(found_N))


def _by_source(values_RQS: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values_RQS.transpose(2, 0, 1), dtype=np.float32).reshape(-1)


def _texts(index_N: NDArray[np.integer], texts: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(index_N, pa.array(texts, pa.string()))
