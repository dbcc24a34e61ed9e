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

from tribute.readout.moved import QueryRows
from tribute.tasks import Batch, FlatTask, forward_pass

ERRORS = 32
"""Outputs beyond this many are projected to so many, by random signs."""

ROWS = 1024


class FeatureSums(NamedTuple):
    """Weighted features summed over each group of queries [G, d], and every query's measurement [Q], nats."""

    feature_Gd: NDArray[np.float64]
    measurement_Q: NDArray[np.float64]


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
    uses, measured_Q, rows = torch.from_numpy(uses_Q), np.zeros(len(uses_Q)), Rows(task, theta_P)
    feature_Gd: Tensor | None = None
    for batch, query_B in queries.batches(ROWS, theta_P.device):
        of = rows.of(batch)
        picked = query_B.cpu()
        np.add.at(measured_Q, picked.numpy(), of.measurement_B.double().cpu().numpy())
        weighted = of.error * uses[picked].to(of.error)[:, None, None]
        if feature_Gd is None:
            size = of.error.shape[-1] * of.hidden.shape[-1]
            feature_Gd = torch.zeros(groups, size, dtype=torch.float64)
        for group, begin, end in _stretches(group_Q[picked.numpy()]):
            summed = weighted[begin:end].flatten(0, 1).T @ of.hidden[begin:end].flatten(0, 1)
            feature_Gd[group] += summed.flatten().double().cpu()
    assert feature_Gd is not None
    plain_G2 = np.zeros((groups, 2))
    np.add.at(plain_G2, group_Q, np.stack([uses_Q * measured_Q, uses_Q], 1))
    return FeatureSums(np.hstack([feature_Gd.numpy(), plain_G2]), measured_Q)


def query_features(task: FlatTask, theta_P: Tensor, queries: QueryRows) -> NDArray[np.float64]:
    """The features of every query, [Q, d]."""
    found, rows = list[Tensor](), Rows(task, theta_P)
    measured_Q, count = torch.zeros(len(queries.query_ids), dtype=torch.float64), len(queries.query_ids)
    for batch, query_B in queries.batches(ROWS // 8, theta_P.device):
        of, picked = rows.of(batch), query_B.cpu()
        outer = torch.einsum("bte,bth->beh", of.error, of.hidden).flatten(1).double().cpu()
        if not found:
            found.append(torch.zeros(count, outer.shape[1], dtype=torch.float64))
        found[0].index_add_(0, picked, outer)
        measured_Q.index_add_(0, picked, of.measurement_B.double().cpu())
    return torch.cat([*found, measured_Q[:, None], torch.ones(count, 1, dtype=torch.float64)], 1).numpy()


class Row(NamedTuple):
    """Measurement [B], error [B, T, E] and hidden states [B, T, D] of rows."""

    measurement_B: Tensor
    error: Tensor
    hidden: Tensor


class Rows:
    """Forward passes of a model's query rows, with errors projected by signs that never change."""

    def __init__(self, task: FlatTask, theta_P: Tensor) -> None:
        self._task, self._theta = task, theta_P
        self._signs: Tensor | None = None

    def of(self, batch: Batch) -> Row:
        """What the forward pass holds of some rows."""
        with torch.no_grad():
            seen = forward_pass(self._task, self._theta, batch)
            error, hidden = (x.reshape(len(x), -1, x.shape[-1]) for x in (seen.error, seen.hidden))
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
