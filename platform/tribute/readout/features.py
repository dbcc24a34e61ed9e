"""Features of a query for the distilled read-out: prediction error x hidden state, summed over positions.

Legend: V model outputs, E of them after projection, D hidden width, d = E D + 2 features, B rows, T positions,
Q queries, G groups of queries.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.readout.perturbed import QueryRows, row_bytes
from tribute.tasks import Batch, FlatTask, WatchedModel

MAX_ERRORS = 32
"""Largest E; more outputs are projected to this number by random signs."""
ACTIVATION_BYTES = {"cpu": 2**23, "cuda": 2**28}
"""Bytes of activations in one forward pass: a few times a core's cache; of a GPU, enough to keep it busy."""
MAX_ROWS = 4096


class FeatureSums(NamedTuple):
    """Weighted features summed over each group of queries [G, d], and every query's measurement [Q], nats."""

    feature_Gd: NDArray[np.float64]
    measurement_Q: NDArray[np.float64]


class RowFeatures(NamedTuple):
    """Measurements [B], prediction errors [B, T, E], and hidden states [B, T, D] of each layer."""

    measurement_B: Tensor
    error: Tensor
    hidden: list[Tensor]

    def flat(self) -> Tensor:
        """Features of each row but the last, which is 1, [B, d - 1]."""
        outer = [torch.einsum("bte,bth->beh", self.error, hidden).flatten(1) for hidden in self.hidden]
        return torch.cat([*outer, self.measurement_B[:, None]], 1)


def feature_sums(
    task: FlatTask,
    theta_P: Tensor,
    queries: QueryRows,
    uses_Q: NDArray[np.float64],
    group_Q: NDArray[np.int64],
    groups: int,
) -> FeatureSums:
    """Sums over queries of uses x features, by a forward pass and a matrix product; no features of single queries.

    The features of a query are sum_t e_t h_t' (e_t = d f / d output at position t, h_t the hidden states), which
    is the gradient of a linear map from hidden states to outputs; then the measurement, and 1.

    Args:
        group_Q: group of each query; fastest if the queries of a group are adjacent.

    Source: the features of For-Value, arXiv 2508.10180.
    """
    uses, group = torch.from_numpy(uses_Q), torch.from_numpy(group_Q)
    measured_Q, passes = torch.zeros(len(uses_Q), dtype=torch.float64), Passes(task, theta_P)
    layers = list[Tensor]()
    for batch, query_B in queries.batches(passes.rows_at_once(queries), theta_P.device):
        features, picked = passes.run(batch), query_B.cpu()
        measured_Q.index_add_(0, picked, features.measurement_B.double().cpu())
        weighted = features.error * uses[picked].to(features.error)[:, None, None]
        if not layers:
            shape = (groups, weighted.shape[-1])
            layers = [torch.zeros(*shape, h.shape[-1], dtype=torch.float64) for h in features.hidden]
        for which, begin, end in _stretches(group[picked].numpy()):
            error = weighted[begin:end].flatten(0, 1).T
            for layer_GED, hidden in zip(layers, features.hidden, strict=True):
                layer_GED[which] += (error @ hidden[begin:end].flatten(0, 1)).double().cpu()
    plain_G2 = torch.zeros(groups, 2, dtype=torch.float64)
    plain_G2.index_add_(0, group, torch.stack([uses * measured_Q, uses], 1))
    feature_Gd = torch.cat([*(layer_GED.flatten(1) for layer_GED in layers), plain_G2], 1)
    return FeatureSums(feature_Gd.numpy(), measured_Q.numpy())


def query_features(passes: "Passes", queries: QueryRows) -> NDArray[np.float64]:
    """Features of each query, [Q, d]."""
    count, feature_Qd = len(queries.query_ids), list[Tensor]()
    for batch, query_B in queries.batches(max(1, passes.rows_at_once(queries) // 8), passes.device):
        flat = passes.run(batch).flat().double().cpu()
        feature_Qd = feature_Qd or [torch.zeros(count, flat.shape[1], dtype=torch.float64)]
        feature_Qd[0].index_add_(0, query_B.cpu(), flat)
    return torch.cat([*feature_Qd, torch.ones(count, 1, dtype=torch.float64)], 1).numpy()


def rows_at_once(task: FlatTask, theta_P: Tensor, queries: QueryRows) -> int:
    """Number of rows in one forward pass."""
    most = ACTIVATION_BYTES.get(theta_P.device.type, ACTIVATION_BYTES["cuda"])
    return max(1, min(MAX_ROWS, most // row_bytes(task, theta_P, queries)))


class Passes:
    """Forward passes of query rows, with errors projected by fixed random signs. One thread at a time.

    Made once for many passes: it holds a copy of the model, and knows what a row of each shape costs.
    """

    def __init__(self, task: FlatTask, theta_P: Tensor) -> None:
        self._task, self._theta, self._model = task, theta_P, WatchedModel(task, theta_P)
        self._signs: Tensor | None = None
        self._rows = dict[object, int]()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._theta.device

    def rows_at_once(self, queries: QueryRows) -> int:
        """Number of rows in one pass; determined once for each shape of a row."""
        shape = queries.shape
        if shape not in self._rows:
            self._rows[shape] = rows_at_once(self._task, self._theta, queries)
        return self._rows[shape]

    def run(self, batch: Batch) -> RowFeatures:
        """Run some rows through the model."""
        with torch.no_grad():
            seen = self._model.forward_pass(batch)
            error, *hidden = (x.reshape(len(x), -1, x.shape[-1]) for x in (seen.error, *seen.hidden))
            return RowFeatures(seen.measurement_B, self._projected(error), hidden)

    def _projected(self, error: Tensor) -> Tensor:
        if error.shape[-1] <= MAX_ERRORS:
            return error
        if self._signs is None:
            drawn = torch.randint(0, 2, (error.shape[-1], MAX_ERRORS), generator=torch.Generator().manual_seed(0))
            self._signs = ((2 * drawn - 1) / math.sqrt(MAX_ERRORS)).to(error)
        return error @ self._signs


def _stretches(group_B: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Stretches of rows of one group: (group, first row, row after the last)."""
    bounds = [0, *(np.flatnonzero(np.diff(group_B)) + 1).tolist(), len(group_B)]
    return [(int(group_B[b]), b, e) for b, e in pairwise(bounds)]
