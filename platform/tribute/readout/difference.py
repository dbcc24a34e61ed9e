"""Read-outs that evaluate the perturbed models: exact for the simulated removal, one forward pass per source.

Legend: P parameters, p of the scope, S sources, C a chunk of them, K = C + 1 parameter vectors (the first is
unperturbed), B rows, Q queries.
"""

import torch

from tribute.errors import ConfigError
from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut, cut
from tribute.tasks import batched


def difference(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """I[q, s] = f(theta; q) - f(theta - Delta_s; q), summed over the rows of each query.

    Exact for the simulated removal, whatever its size. Cost: one forward pass per source and one for the model.
    All models are evaluated in one ensemble, so a source without response has influence exactly 0.

    Args:
        memory_gib: budget of parameters and activations evaluated at once; it changes only rounding.

    Returns:
        Influences [Q, S] and measurements [Q], nats. Positive influence: the source helped the query.

    Raises:
        ConfigError: not even one row fits the budget.

    Source: arXiv 2511.19803.
    """
    return _differences(perturbed.lifted(), queries, memory_gib)


def shared_trunk(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """`difference` in a narrow scope: activations of the frozen trunk are computed once for all sources.

    Equal to `difference` up to rounding. Cost: one forward pass, and the scope's share of one for each source.

    Raises:
        ConfigError: the scope is the whole model, which has no trunk, or not even one row fits the budget.
    """
    if perturbed.scope.whole:
        raise ConfigError("readout.method shared_trunk needs a narrow simulation.scope, such as head")
    return _differences(perturbed, queries, memory_gib)


def _differences(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float) -> ReadOut:
    task, theta_p, response_Sp = perturbed.task, perturbed.theta_p, perturbed.response_Sp
    rows, sources = cut(perturbed, queries, memory_gib)
    influence_QS = theta_p.new_zeros(len(queries.query_ids), len(response_Sp))
    measured_Q = theta_p.new_zeros(len(queries.query_ids))
    for begin in range(0, len(response_Sp), sources):
        chunk_Cp = response_Sp[begin : begin + sources]
        theta_Kp = theta_p - torch.cat([torch.zeros_like(theta_p)[None], chunk_Cp])
        for batch, query_B in queries.batches(rows, theta_p.device):
            values_KB = batched(task.measure, (0, None))(theta_Kp, batch)
            lost_BC = (values_KB[0] - values_KB[1:]).T
            influence_QS[:, begin : begin + sources].index_add_(0, query_B, lost_BC)
            if begin == 0:
                measured_Q.index_add_(0, query_B, values_KB[0])
    return ReadOut(influence_QS, measured_Q)
