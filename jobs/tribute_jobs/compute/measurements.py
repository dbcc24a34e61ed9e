"""What real trainings lost over all uses of some queries, read out on the cluster.

Legend: Q queries, K trainings.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import MeasuredTraining
from tribute.cluster import ReadOutJob, chunks
from tribute.corpus import QueryTable
from tribute.evaluation import removal
from tribute.readout import QueryRows
from tribute.valuation import usage_totals
from tribute_jobs.compute.retrains import UNITS_PER_JOB, Retrains

BLOCK_VALUES = 2**26
"""Losses held in memory at once."""


def measured(
    retrains: Retrains,
    trainings: Sequence[MeasuredTraining],
    queries: QueryTable,
    uses_Q: NDArray[np.float64],
    part: str = "retrains",
) -> list[MeasuredTraining]:
    """The same trainings with what they lost over all uses of some queries; trains what the bank lacks.

    NaN: the training diverged, or the full training of its seed did.

    Args:
        part: what progress calls the trainings.
    """
    if not trainings:
        return []
    names, nats_K = retrains.context.source_ids(), np.full(len(trainings), np.nan)
    position = {name: index for index, name in enumerate(names)}
    units = [removal([position[name] for name in each.removed], names) for each in trainings]
    by_seed = dict[int, list[int]]()
    trained = set(retrains.trained(sorted({each.seed for each in trainings})))
    for k in sorted(range(len(trainings)), key=lambda k: units[k].unit_id):
        if trainings[k].seed in trained:
            by_seed.setdefault(trainings[k].seed, []).append(k)
            nats_K[k] = 0
    retrains.complete({seed: [units[k] for k in own] for seed, own in by_seed.items()}, part)
    thetas, jobs = dict[int, Any](), list[tuple[list[int], ReadOutJob]]()
    for seed, own in by_seed.items():
        theta = retrains.workers.put([retrains.full.final(seed).numpy()])
        for chosen in ([own[index] for index in c] for c in chunks(len(own), UNITS_PER_JOB)):
            files = tuple((units[k].unit_id, (retrains.bank.files[seed, units[k].unit_id],)) for k in chosen)
            jobs.append((chosen, ReadOutJob("difference", "all", files)))
            thetas[id(jobs[-1][1])] = theta
    for block in chunks(len(queries.query_ids), max(1, BLOCK_VALUES // max(len(trainings), 1))):
        rows = retrains.workers.put(QueryRows.of(queries.take(list(block))))
        read_out = partial(_read_out, thetas, rows)
        pieces = retrains.context.run_jobs("read-outs of retrains", [job for _, job in jobs], read_out)
        for (chosen, _), (influence_RQU, _) in zip(jobs, pieces, strict=True):
            nats_K[chosen] += usage_totals(uses_Q[list(block)], influence_RQU[0])
    return [each._replace(nats=nats) for each, nats in zip(trainings, nats_K.tolist(), strict=True)]


def _read_out(thetas: Mapping[int, Any], rows: Any, actor: Any, job: ReadOutJob) -> Any:
    return actor.read_out.remote(thetas[id(job)], rows, job)
