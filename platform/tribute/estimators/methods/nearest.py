"""Nearest neighbours: a baseline that compares training data with queries and ignores the model.

Legend: N training examples, n of a block of them, R query rows, Q queries, G groups, T positions, d dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.estimators.estimator import ModelFree, NamedTensors, Trained, sum_by_group
from tribute.readout import QueryRows

LABELS = "labels"
HASH_BASE = 1_000_003
"""A prime that spreads n-grams over the bins."""


@dataclass(frozen=True)
class Nearest(ModelFree):
    """Value of an example to a nearest-neighbour predictor; ignores the model (KNN-Shapley).

    Values are summed over the rows of a query. Vectors are the `features`, or hashed counts of n-grams of the
    `tokens`. If a task has neither, they are all columns of numbers that queries have too, or n-grams of those of
    integers; not labels, and columns of one number a row, such as targets, only where there are no others.
    Similarity is their cosine, and ties go to the earlier example. A row that is like no example, such as an
    empty text, tells nothing. For any other row with a label, an example has its exact Shapley value in the share
    of correct labels among the k nearest: a probability, negative for near examples with another label. For a row
    without a label, the k nearest have the value cosine / k, the others 0.

    The value of an example depends on all others, whether they are in a group or not. A row of a query costs N d
    multiplications and the sorting of N numbers. For tokens, the training set is also hashed once for every
    `rows`.

    Source: arXiv 1908.08619, theorem 1, which uses Euclidean distances between deep features.
    """

    k: int = 10
    """Neighbours that vote; 10 is common."""
    ngram: int = 3
    """Tokens in an n-gram; 3 bytes cover most of a short word."""
    bins: int = 16384
    """Dimensions of hashed n-gram counts. With 16,384, one in four pairs of 64-byte windows has a collision."""
    rows: int = 256
    """Query rows that are compared with all examples at once, at most."""
    compared: int = 2**25
    """Comparisons held at once, of about 40 bytes each: fewer rows where examples are many."""
    block: int = 1024
    """Training examples whose vectors are held at once."""

    def __post_init__(self) -> None:
        numbers = {each.name: getattr(self, each.name) for each in fields(self)}
        if min(numbers.values()) < 1 or self.bins % HASH_BASE == 0:
            raise ConfigError(
                f"nearest: {', '.join(f'{name} is {number}' for name, number in numbers.items())}. Set all to at "
                f"least 1, and bins to no multiple of {HASH_BASE}"
            )

    def fit(self, trained: Trained) -> NamedTensors:
        """Check the training set; nothing is stored.

        Raises:
            ConfigError: the training examples have nothing but labels.
        """
        if not set(trained.data.columns) - {LABELS}:
            raise ConfigError(
                "nearest compares examples, but these have labels alone. Use another estimator; where it is "
                "only weighed, write valuation: {estimates: []}"
            )
        return {}

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        influence_QG = trained.theta_P.new_zeros(len(queries.query_ids), len(gathered["size_G"]))
        rows = max(1, min(self.rows, self.compared // max(len(trained.data), 1)))
        for batch, query_R in queries.batches(rows, trained.device):
            near_RN = self._cosines(trained, batch)
            if LABELS in batch and LABELS in trained.data.columns:
                label_N = torch.tensor(np.asarray(trained.data.columns[LABELS]), device=trained.device)
                value_RN = knn_shapley(near_RN, batch[LABELS][:, None] == label_N, self.k)
                value_RN *= near_RN.any(1, keepdim=True)
            else:
                value_RN = _votes(near_RN, self.k)
            influence_QG.index_add_(0, query_R, sum_by_group(value_RN, gathered))
        return influence_QG

    def _cosines(self, trained: Trained, batch: Mapping[str, Tensor]) -> Tensor:
        like, names = trained.theta_P, _compared(batch, trained.data.columns)
        query_Rd, parts = self._vectors(batch, names, like), []
        for begin in range(0, len(trained.data), self.block):
            indices_n = np.arange(begin, min(begin + self.block, len(trained.data)))
            block, _ = trained.data.batch(indices_n, like.device)
            parts.append(query_Rd @ self._vectors(block, names, like).T)
        return torch.cat(parts, 1)

    def _vectors(self, batch: Mapping[str, Tensor], names: Sequence[str], like: Tensor) -> Tensor:
        """Vectors of norm 1, [n, d], with the device and precision of `like`; zeros where there is nothing."""
        columns = [batch[name].reshape(len(batch[name]), -1) for name in names]
        real = [each.to(like.dtype) for each in columns if each.is_floating_point()]
        if real:
            return functional.normalize(torch.cat(real, 1))
        tokens_nT = torch.cat([each.long() for each in columns], 1)
        ngram = min(self.ngram, tokens_nT.shape[1])
        return functional.normalize(ngram_counts(tokens_nT, ngram, self.bins).to(like.dtype))


def _compared(batch: Mapping[str, Tensor], columns: Mapping[str, Any]) -> list[str]:
    """The columns of queries and examples that are compared; see `Nearest`."""
    shared = [name for name in ("features", "tokens", *sorted(batch)) if name in batch and name in columns]
    if set(shared[:1]) & {"features", "tokens"}:
        return shared[:1]
    inputs = [name for name in shared if name != LABELS]
    if not inputs:
        raise ConfigError(f"nearest compares examples with queries, but both have no column but {LABELS}")
    return [name for name in inputs if batch[name].ndim > 1] or inputs


def ngram_counts(tokens_nT: Tensor, ngram: int, bins: int) -> Tensor:
    """Number of n-grams without padding (-1) in each bin, [n, bins]."""
    if tokens_nT.shape[1] < ngram:
        return tokens_nT.new_zeros(len(tokens_nT), bins)
    parts = tokens_nT.unfold(1, ngram, 1)
    code = torch.zeros_like(parts[..., 0])
    for token in parts.unbind(-1):
        code = (code * HASH_BASE + token) % bins
    row = torch.arange(len(code), device=code.device)[:, None]
    flat = (row * bins + code)[(parts >= 0).all(-1)]
    return torch.bincount(flat, minlength=len(code) * bins).view(len(code), bins)


def knn_shapley(near_RN: Tensor, right_RN: Tensor, k: int) -> Tensor:
    """Shapley value of each example in the share of correct ones among the k nearest, [R, N].

    The farthest example has min(k, N) / (k N) if it is correct, else 0. The value of the example of rank i differs
    from that of rank i + 1 by (right_i - right_{i+1}) min(k, i) / (k i).
    """
    order_RN = near_RN.argsort(dim=1, descending=True, stable=True)
    sorted_RN = right_RN.gather(1, order_RN).to(near_RN.dtype)
    rank_N = torch.arange(1, near_RN.shape[1] + 1, device=near_RN.device, dtype=near_RN.dtype)
    step_RN = sorted_RN - functional.pad(sorted_RN[:, 1:], (0, 1))
    value_RN = (step_RN * rank_N.clamp(max=k) / (k * rank_N)).flip(1).cumsum(1).flip(1)
    return torch.empty_like(near_RN).scatter_(1, order_RN, value_RN)


def _votes(near_RN: Tensor, k: int) -> Tensor:
    nearest_Rk = near_RN.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(near_RN).scatter_(1, nearest_Rk, near_RN.gather(1, nearest_Rk) / k)
