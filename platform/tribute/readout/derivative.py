"""Read-outs by the derivative of the measurement along the responses, in forward and in reverse mode.

Legend: P parameters, p of the scope, S sources, C a chunk of them, B rows, Q queries.
"""

import torch
from torch import Tensor
from torch.func import grad

from tribute.readout.perturbed import PerturbedModel, QueryRows, ReadOut, cut
from tribute.tasks import Batch, batched, forward_mode

GRADIENT_BYTES = 2**24
"""Bytes of gradients held at once; larger blocks do not fit the processor's caches and are slower."""


def jvp(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """I[q, s] = grad f(theta; q) . r_s in forward mode, without backward passes or stored gradients.

    The limit of `difference` for small responses. Cost: one forward pass for the model and about two per source.
    In a narrow scope the trunk is computed once.

    Args:
        memory_gib: budget of tangents and activations evaluated at once; it changes only rounding.

    Returns:
        Influences [Q, S] and measurements [Q], nats. Positive influence: the source helped the query.

    Raises:
        ConfigError: not even one row fits the budget.

    Source: arXiv 2511.19803.
    """
    task, theta_p, response_Sp = perturbed.task, perturbed.theta_p, perturbed.response_Sp
    rows, sources = cut(perturbed, queries, memory_gib, copies=2)
    influence_QS = theta_p.new_zeros(len(queries.query_ids), len(response_Sp))
    measured_Q = theta_p.new_zeros(len(queries.query_ids))

    def along(direction_p: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return forward_mode(lambda at_p: task.measure(at_p, batch), (theta_p,), (direction_p,))

    for begin in range(0, len(response_Sp), sources):
        chunk_Cp = response_Sp[begin : begin + sources]
        for batch, query_B in queries.batches(rows, theta_p.device):
            value_CB, change_CB = batched(along, (0, None))(chunk_Cp, batch)
            influence_QS[:, begin : begin + sources].index_add_(0, query_B, change_CB.T)
            if begin == 0:
                measured_Q.index_add_(0, query_B, value_CB[0])
    return ReadOut(influence_QS, measured_Q)


def adjoint(perturbed: PerturbedModel, queries: QueryRows, memory_gib: float = 1.0) -> ReadOut:
    """The influences of `jvp` in reverse mode: one backward pass per query row, then dot products with responses.

    An independent check of `jvp`, and cheaper for very many sources. Cost: about three forward passes, and 2 p
    flops per source.

    Raises:
        ConfigError: not even one row fits the budget.
    """
    task, theta_p = perturbed.task, perturbed.theta_p
    vector = theta_p.numel() * theta_p.element_size()
    rows = min(cut(perturbed, queries, memory_gib, per_row=2 * vector).rows, max(1, GRADIENT_BYTES // vector))
    influence_QS = theta_p.new_zeros(len(queries.query_ids), len(perturbed.response_Sp))
    measured_Q = theta_p.new_zeros(len(queries.query_ids))

    def one(row: Batch) -> tuple[Tensor, Tensor]:
        single = {name: value[None] for name, value in row.items()}

        def measure(at_p: Tensor) -> tuple[Tensor, Tensor]:
            value = task.measure(at_p, single)[0]
            return value, value

        return grad(measure, has_aux=True)(theta_p)

    for batch, query_B in queries.batches(rows, theta_p.device):
        gradient_Bp, value_B = batched(one)(dict(batch))
        influence_QS.index_add_(0, query_B, gradient_Bp @ perturbed.response_Sp.T)
        measured_Q.index_add_(0, query_B, value_B)
    return ReadOut(influence_QS, torch.as_tensor(measured_Q))
