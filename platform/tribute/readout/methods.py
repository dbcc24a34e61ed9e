"""Exact read-outs by name, and the choice of `auto`.

Read-outs of one family give the same numbers up to rounding, or up to a tolerance that is measured, so `auto`
takes the cheapest. The kind of response decides between the families.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tribute.config import ReadoutSettings, SimulationSettings
from tribute.config.model import NARROW
from tribute.readout.derivative import adjoint, jvp
from tribute.readout.difference import difference, shared_trunk
from tribute.readout.features import feature_sums, rows_at_once
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut
from tribute.readout.prepared import PreparedReadOut
from tribute.readout.shared_head import shared_head
from tribute.tasks import FlatTask

Method = Callable[[PerturbedModel, QueryRows, float], ReadOut]
METHODS: dict[str, Method] = {
    "difference": difference,
    "shared_trunk": shared_trunk,
    "shared_head": shared_head,
    "jvp": jvp,
    "adjoint": adjoint,
}
REPEATS = 3


def candidates(settings: ReadoutSettings, simulation: SimulationSettings, whole_scope: bool) -> tuple[str, ...]:
    """Methods that `readout.method` allows: the named one; for `auto` a family, the usual choice first.

    The response to a real removal (paired, weight 1, epsilon 1) is read out as that removal. A response per unit
    of weight is read out by its derivative: read out as a removal, the tangent of an unstable training reaches LDS
    .16 instead of .56.

    Args:
        whole_scope: whether all parameters of the model are in the scope.
    """
    if settings.method not in ("auto", "distilled"):
        return ("difference",) if whole_scope and settings.method in NARROW else (settings.method,)
    removal = (simulation.mode, simulation.weight, simulation.epsilon) == ("paired", 1.0, 1.0)
    if removal:
        return ("difference",) if whole_scope else ("shared_trunk", "difference", "shared_head")
    return ("jvp", "adjoint") if settings.backward else ("jvp",)


def costs(
    names: Sequence[str], perturbed: PerturbedModel, queries: QueryRows, memory_gib: float
) -> dict[str, float]:
    """Measured cost of prepared read-outs, in plain forward passes of the same queries (medians).
    `distilled` is the cost of the pass that every query takes, without the exact read-outs of the sample.
    """
    uses_Q, group_Q = np.ones(len(queries.query_ids)), np.zeros(len(queries.query_ids), dtype=np.int64)

    scope, theta_P = perturbed.scope, perturbed.theta_P

    def run(name: str) -> Callable[[], object]:
        if name == "distilled":
            return lambda: feature_sums(scope.task, theta_P, queries, uses_Q, group_Q, 1)
        prepared = PreparedReadOut(name, scope, [theta_P], [perturbed.response_Sp], memory_gib, kept_gib=0)
        return lambda: prepared.read(queries)

    with torch.no_grad():
        return {name: seconds(run(name)) / forward_seconds(scope.task, theta_P, queries) for name in names}


def forward_seconds(task: FlatTask, theta_P: Tensor, queries: QueryRows) -> float:
    """Median seconds of one plain forward pass of all queries: the unit of costs."""
    rows = rows_at_once(task, theta_P, queries)

    def forward() -> list[Tensor]:
        with torch.no_grad():
            return [task.measure(theta_P, batch) for batch, _ in queries.batches(rows, theta_P.device)]

    return seconds(forward)


def seconds(run: Callable[[], object]) -> float:
    """Median seconds by `clock` of `REPEATS` runs, after a first run to warm up."""
    run()
    taken = []
    for _ in range(REPEATS):
        began = clock()
        run()
        taken.append(clock() - began)
    return sorted(taken)[REPEATS // 2]


def clock() -> float:
    """Seconds of processor time, which other work on the machine does not lengthen; with a GPU of wall time."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()
