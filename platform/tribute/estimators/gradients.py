"""Gradients of training losses, by group or example, and of measurements, by query.

Legend: N training examples, B of a batch, G groups, Q queries, R rows, P parameters.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.readout import QueryRows
from tribute.tasks import Batch, FlatTask, batched

READS = ("loss", "measurement")
"""Functions of a query that an estimator may differentiate: minus its training loss, or its measurement."""
EXAMPLES_AT_ONCE = 512
"""Examples in one pass for a summed gradient."""
GRADIENT_BYTES = 2**26
"""Bytes of single gradients held at once."""
SMALL_GROUP = 4
"""Mean size of groups up to which gradients of single examples, many in a pass, are the faster way to the sums."""


class GradientBlock(NamedTuple):
    """Consecutive queries and their gradients, [q, P]."""

    queries: slice
    gradient_qP: Tensor


def group_gradients(trained: Trained, theta_P: Tensor, groups: Groups) -> Tensor:
    """Gradient of the loss summed over each group, without dropout, [G, P], nats per unit of theta."""
    gradient_GP, task = theta_P.new_zeros(groups.count, theta_P.numel()), trained.task.evaluated
    if len(groups.chosen) <= SMALL_GROUP * groups.count:
        for indices_B, gradient_BP in example_gradients(trained, theta_P, groups.chosen):
            owner_B = torch.from_numpy(groups.group_N[indices_B]).to(trained.device)
            gradient_GP.index_add_(0, owner_B, gradient_BP)
        return gradient_GP
    for group in range(groups.count):
        members = groups.members(group)
        for begin in range(0, len(members), EXAMPLES_AT_ONCE):
            batch, _ = trained.data.batch(members[begin : begin + EXAMPLES_AT_ONCE], trained.device)
            gradient_GP[group] += grad(lambda at_P, batch=batch: task.losses(at_P, batch).sum())(theta_P)
    return gradient_GP


def example_gradients(
    trained: Trained, theta_P: Tensor, chosen: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Yield indices [B] and gradients [B, P] of the chosen examples' training losses, without dropout."""
    task = trained.task.evaluated

    def loss(at_P: Tensor, row: Batch) -> Tensor:
        return task.losses(at_P, single(row))[0]

    for indices_B in _cut(chosen, theta_P):
        batch, _ = trained.data.batch(indices_B, trained.device)
        yield indices_B, batched(grad(loss), (None, 0))(theta_P, batch)


def check_reads(method: str, reads: str) -> None:
    """Check that `reads` is one of `READS`; raises ConfigError."""
    if reads not in READS:
        raise ConfigError(f"{method}: reads is {reads!r}. Set it to one of {', '.join(READS)}")


def reader(task: FlatTask, reads: str) -> Callable[[Tensor, Batch], Tensor]:
    """The function of parameters and one query row to differentiate, nats.

    Raises (when called):
        ConfigError: the row lacks a column of the training loss.
    """

    def raised(at_P: Tensor, row: Batch) -> Tensor:
        try:
            return -task.evaluated.losses(at_P, single(row))[0]
        except KeyError as error:
            raise ConfigError(
                f"Queries have no column {error}, which the training loss needs. Set the estimator's option reads "
                "to measurement"
            ) from error

    def measured(at_P: Tensor, row: Batch) -> Tensor:
        return task.measure(at_P, single(row))[0]

    return raised if reads == "loss" else measured


def query_gradients(
    task: FlatTask, theta_P: Tensor, queries: QueryRows, reads: str = "measurement"
) -> Iterator[GradientBlock]:
    """Yield gradients of the queries in order, each summed over its rows; see `reader`."""
    read = reader(task, reads)
    bounds_Q = np.searchsorted(queries.query_N, np.arange(len(queries.query_ids) + 1))
    for begin, end in _whole(bounds_Q, gradients_at_once(theta_P)):
        gradient_qP = theta_P.new_zeros(end - begin, theta_P.numel())
        rows = np.arange(bounds_Q[begin], bounds_Q[end])
        for chosen in _cut(rows, theta_P):
            batch = {k: torch.from_numpy(v[chosen]).to(theta_P.device) for k, v in queries.columns.items()}
            row_BP = batched(grad(read), (None, 0))(theta_P, batch)
            owner = torch.from_numpy(queries.query_N[chosen] - begin).to(theta_P.device)
            gradient_qP.index_add_(0, owner, row_BP)
        yield GradientBlock(slice(begin, end), gradient_qP)


def directional_derivatives(
    task: FlatTask, theta_P: Tensor, response_GP: Tensor, queries: QueryRows, reads: str = "measurement"
) -> Tensor:
    """grad f(theta; q) . r_g for all queries and groups, [Q, G], nats; for f see `reader`."""
    influence_QG = theta_P.new_zeros(len(queries.query_ids), len(response_GP))
    for block in query_gradients(task, theta_P, queries, reads):
        influence_QG[block.queries] = block.gradient_qP @ response_GP.T
    return influence_QG


class ResponseEstimator(Estimator, Protocol):
    """An estimator that gathers `response_GP`, the response of the final parameters to each group, [G, P]."""

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """grad f(theta; q) . r_g at the final parameters, [Q, G]."""
        return directional_derivatives(trained.task, trained.theta_P, gathered["response_GP"], queries)


def measurements(task: FlatTask, theta_P: Tensor, queries: QueryRows) -> Tensor:
    """Measurement of each query, [Q], nats, summed over its rows."""
    measured_Q = theta_P.new_zeros(len(queries.query_ids))
    with torch.no_grad():
        for batch, query_B in queries.batches(EXAMPLES_AT_ONCE, theta_P.device):
            measured_Q.index_add_(0, query_B, task.measure(theta_P, batch))
    return measured_Q


def drawn_examples(trained: Trained, most: int) -> NDArray[np.int64]:
    """Indices of `most` random training examples, ascending and the same in every call; at most all of them."""
    count = len(trained.data)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def single(row: Batch) -> dict[str, Tensor]:
    """A batch of one row."""
    return {name: value[None] for name, value in row.items()}


def gradients_at_once(theta_P: Tensor) -> int:
    """Number of single gradients that are held at once."""
    return max(1, GRADIENT_BYTES // (theta_P.numel() * theta_P.element_size()))


def _cut(indices: NDArray[np.int64], theta_P: Tensor) -> Iterator[NDArray[np.int64]]:
    size = gradients_at_once(theta_P)
    for begin in range(0, len(indices), size):
        yield indices[begin : begin + size]


def _whole(bounds_Q: NDArray[np.int64], rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of whole queries with about this many rows, at least one query each."""
    starts = [0]
    for query, (_, end) in enumerate(pairwise(bounds_Q), 1):
        if end - bounds_Q[starts[-1]] >= rows:
            starts.append(query)
    if starts[-1] != len(bounds_Q) - 1:
        starts.append(len(bounds_Q) - 1)
    yield from pairwise(starts)
