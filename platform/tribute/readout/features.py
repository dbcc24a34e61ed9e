"""Features of a query for the distilled read-out: prediction error x hidden state, summed over positions.

Legend: V model outputs, E of them after projection, D hidden width, d = E D + 2 features, B rows, T positions of
all of them, Q queries, G groups of queries.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.readout.perturbed import QueryRows, row_bytes
from tribute.tasks import Batch, FlatTask, forward_pass

ERRORS = 32
"""Outputs beyond this many are projected to so many, by random signs."""
ACTIVATIONS = 2**24
"""Bytes of activations in one plain forward pass: about what stays near a processor."""
MOST_ROWS = 4096


class FeatureSums(NamedTuple):
    """Weighted features summed over each group of queries [G, d], and every query's measurement [Q], nats."""

    feature_Gd: NDArray[np.float64]
    measurement_Q: NDArray[np.float64]


class Row(NamedTuple):
    """Measurement [B], error [B, T, E] and hidden states [B, T, D] of rows, layer by layer."""

    measurement_B: Tensor
    error: Tensor
    hidden: list[Tensor]


def feature_sums(
    task: FlatTask,
    theta_P: Tensor,
    queries: QueryRows,
    uses_Q: NDArray[np.float64],
    group_Q: NDArray[np.int64],
    groups: int,
) -> FeatureSums:
    """Sums over queries of uses x features: one forward pass and a matrix product, no features per query.

    The features of a query are sum_t e_t h_t' (e_t = d f / d output at position t, h_t the hidden states), the
    gradient of a linear map from the hidden states to the outputs; then its measurement, and 1.

    Args:
        group_Q: the group of every query; fastest when queries of a group stand together.

    Source: the features of For-Value, arXiv 2508.10180.
    """
    uses, group = torch.from_numpy(uses_Q), torch.from_numpy(group_Q)
    measured_Q, passes = torch.zeros(len(uses_Q), dtype=torch.float64), Passes(task, theta_P)
    layers = list[Tensor]()
    for batch, query_B in queries.batches(rows_at_once(task, theta_P, queries), theta_P.device):
        of, picked = passes.of(batch), query_B.cpu()
        measured_Q.index_add_(0, picked, of.measurement_B.double().cpu())
        weighted = of.error * uses[picked].to(of.error)[:, None, None]
        if not layers:
            layers = [torch.zeros(groups, weighted.shape[-1], h.shape[-1], dtype=torch.float64) for h in of.hidden]
        for which, begin, end in _stretches(group[picked].numpy()):
            error = weighted[begin:end].flatten(0, 1).T
            for layer_GED, hidden in zip(layers, of.hidden, strict=True):
                layer_GED[which] += (error @ hidden[begin:end].flatten(0, 1)).double().cpu()
    plain_G2 = torch.zeros(groups, 2, dtype=torch.float64)
    plain_G2.index_add_(0, group, torch.stack([uses * measured_Q, uses], 1))
    return FeatureSums(torch.cat([*(each.flatten(1) for each in layers), plain_G2], 1).numpy(), measured_Q.numpy())


def query_features(task: FlatTask, theta_P: Tensor, queries: QueryRows) -> NDArray[np.float64]:
    """The features of every query, [Q, d]."""
    count, passes = len(queries.query_ids), Passes(task, theta_P)
    found = list[Tensor]()
    for batch, query_B in queries.batches(max(1, rows_at_once(task, theta_P, queries) // 8), theta_P.device):
        of = passes.of(batch)
        outer = [torch.einsum("bte,bth->beh", of.error, hidden).flatten(1) for hidden in of.hidden]
        flat = torch.cat([*outer, of.measurement_B[:, None]], 1).double().cpu()
        found = found or [torch.zeros(count, flat.shape[1], dtype=torch.float64)]
        found[0].index_add_(0, query_B.cpu(), flat)
    return torch.cat([*found, torch.ones(count, 1, dtype=torch.float64)], 1).numpy()


def rows_at_once(task: FlatTask, theta_P: Tensor, queries: QueryRows) -> int:
    """How many rows a plain forward pass takes at once."""
    return max(1, min(MOST_ROWS, ACTIVATIONS // row_bytes(task, theta_P, queries)))


class Passes:
    """Forward passes of a model's query rows, with errors projected by signs that never change."""

    def __init__(self, task: FlatTask, theta_P: Tensor) -> None:
        self._task, self._theta = task, theta_P
        self._signs: Tensor | None = None

    def of(self, batch: Batch) -> Row:
        """What the forward pass holds of some rows."""
        with torch.no_grad():
            seen = forward_pass(self._task, self._theta, batch)
            error, *hidden = (x.reshape(len(x), -1, x.shape[-1]) for x in (seen.error, *seen.hidden))
            return Row(seen.measurement_B, self._projected(error), hidden)

    def _projected(self, error: Tensor) -> Tensor:
        if error.shape[-1] <= ERRORS:
            return error
        if self._signs is None:
            drawn = torch.randint(0, 2, (error.shape[-1], ERRORS), generator=torch.Generator().manual_seed(0))
            self._signs = ((2 * drawn - 1) / math.sqrt(ERRORS)).to(error)
        return error @ self._signs


def _stretches(group_B: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Runs of equal groups: (group, first row, row after the last)."""
    bounds = [0, *(np.flatnonzero(np.diff(group_B)) + 1).tolist(), len(group_B)]
    return [(int(group_B[b]), b, e) for b, e in pairwise(bounds)]
