"""Every exact read-out by name, and which one `auto` takes.

Read-outs of one family give the same numbers up to rounding, so cost alone decides between them; between the
families it is what the response was simulated for that decides.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tribute.config import ReadoutSettings, SimulationSettings
from tribute.readout.derivative import adjoint, jvp
from tribute.readout.difference import difference, shared_trunk
from tribute.readout.features import feature_sums, rows_at_once
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut
from tribute.tasks import FlatTask

Method = Callable[[PerturbedModel, QueryRows, float], ReadOut]
METHODS: dict[str, Method] = {
    "difference": difference,
    "shared_trunk": shared_trunk,
    "jvp": jvp,
    "adjoint": adjoint,
}
REPEATS = 3


def candidates(settings: ReadoutSettings, simulation: SimulationSettings, whole_scope: bool) -> tuple[str, ...]:
    """The methods that `readout.method` admits: one by name; for `auto` a family, the usual choice first.

    A response to a real removal (paired, weight 1, epsilon 1) is read out by that removal, one per unit of weight
    by its derivative: a slope is no step (LDS .16 against .56 for a tangent of rough training).
    """
    if settings.method not in ("auto", "distilled"):
        return ("difference",) if whole_scope and settings.method == "shared_trunk" else (settings.method,)
    removal = (simulation.mode, simulation.weight, simulation.epsilon) == ("paired", 1.0, 1.0)
    if removal:
        return ("difference",) if whole_scope else ("shared_trunk", "difference")
    return ("jvp", "adjoint") if settings.backward else ("jvp",)


def costs(names: Sequence[str], moved: PerturbedModel, queries: QueryRows, memory_gib: float) -> dict[str, float]:
    """What read-outs cost here, in plain forward passes of the same queries timed beside them (medians).

    `distilled` is the pass that every query takes, without the exact read-outs of the sample.
    """
    uses_Q, group_Q = np.ones(len(queries.query_ids)), np.zeros(len(queries.query_ids), dtype=np.int64)

    def run(name: str) -> Callable[[], object]:
        if name == "distilled":
            return lambda: feature_sums(moved.scope.task, moved.theta_P, queries, uses_Q, group_Q, 1)
        return lambda: METHODS[name](moved, queries, memory_gib)

    task, theta_P = moved.scope.task, moved.theta_P
    with torch.no_grad():
        return {name: seconds(run(name)) / forward_seconds(task, theta_P, queries) for name in names}


def forward_seconds(task: FlatTask, theta_P: Tensor, queries: QueryRows) -> float:
    """Median time of one plain forward pass of all queries: the unit of every cost."""
    rows = rows_at_once(task, theta_P, queries)

    def forward() -> list[Tensor]:
        with torch.no_grad():
            return [task.measure(theta_P, batch) for batch, _ in queries.batches(rows, theta_P.device)]

    return seconds(forward)


def seconds(run: Callable[[], object]) -> float:
    """Median time of a few runs after a first one."""
    run()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[REPEATS // 2]
