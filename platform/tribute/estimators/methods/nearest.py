"""Nearest neighbours: the baseline that sees training data and queries but no model.

Legend: N training examples, n of a block of them, R query rows, Q queries, G groups, T positions, d dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.estimators.membership import by_group, membership
from tribute.readout import QueryRows

ROWS = 256
"""Query rows that are compared with everything at once."""
BLOCK = 1024
"""Training examples whose vectors are held at once."""
BASE = 1_000_003
"""A prime that spreads n-grams over the bins."""


@dataclass(frozen=True)
class Nearest(Estimator):
    """Value to a predictor by nearest neighbours; sees examples and queries, but no model (KNN-Shapley).

    A query's values are summed over its rows. Vectors are the `features`, or counts of n-grams of the `tokens`,
    hashed to a number of bins; nearness is their cosine, and ties go to the earlier example. A row with a label
    values every example by its exact Shapley value in the share of right labels among the k nearest (KNN-Shapley):
    in probabilities, negative where a near example has another label. A row without one values its k
    nearest at cosine / k, the others at 0.

    The value of an example depends on all others, in groups or not. A query costs N d multiplications for each
    row, and the sorting of N numbers; for tokens also the hashing of the training set for every 256 rows.

    Source: arXiv 1908.08619, theorem 1; there distances are Euclidean, between deep features.
    """

    model_free: ClassVar[bool] = True

    k: int = 10
    """Neighbours that vote; 10 is usual."""
    ngram: int = 3
    """Tokens in an n-gram; 3 bytes make most of a short word."""
    bins: int = 16384
    """Dimensions of hashed n-gram counts: among so many, one in four pairs of 64-byte windows collides once."""

    def __post_init__(self) -> None:
        if min(self.k, self.ngram, self.bins) < 1 or self.bins % BASE == 0:
            raise ConfigError(
                f"Estimator nearest: k, ngram and bins are at least 1, bins no multiple of {BASE}; "
                f"got {self.k}, {self.ngram} and {self.bins}"
            )

    def fit(self, trained: Trained) -> Kept:
        """Nothing.

        Raises:
            ConfigError: the training examples have neither features nor tokens.
        """
        if not {"features", "tokens"} & set(trained.data.columns):
            raise ConfigError(
                "Estimator nearest compares columns named features or tokens; the training set has "
                f"{', '.join(trained.data.columns)}. Name yours so, or use another estimator"
            )
        return {}

    def held(self, trained: Trained) -> int:
        """Next to nothing."""
        return 0

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """Who is in which group."""
        return membership(groups, trained.device)

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        found_QG = trained.theta_P.new_zeros(len(queries.query_ids), len(gathered["size_G"]))
        for batch, query_R in queries.batches(ROWS, trained.device):
            near_RN = self._cosines(trained, batch)
            if "labels" in batch and "labels" in trained.data.columns:
                label_N = torch.tensor(trained.data.columns["labels"], device=trained.device)
                value_RN = knn_shapley(near_RN, batch["labels"][:, None] == label_N, self.k)
            else:
                value_RN = _votes(near_RN, self.k)
            found_QG.index_add_(0, query_R, by_group(value_RN, gathered))
        return found_QG

    def _cosines(self, trained: Trained, batch: Mapping[str, Tensor]) -> Tensor:
        asked_Rd, like = self._vectors(batch, trained.theta_P), trained.theta_P
        parts = []
        for begin in range(0, len(trained.data), BLOCK):
            indices_n = np.arange(begin, min(begin + BLOCK, len(trained.data)))
            block, _ = trained.data.batch(indices_n, like.device)
            parts.append(asked_Rd @ self._vectors(block, like).T)
        return torch.cat(parts, 1)

    def _vectors(self, batch: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Vectors of norm 1, [n, d], as `like` in device and precision."""
        if "features" in batch:
            return functional.normalize(batch["features"].flatten(1).to(like.dtype))
        return functional.normalize(ngram_counts(batch["tokens"].long(), self.ngram, self.bins).to(like.dtype))


def ngram_counts(tokens_nT: Tensor, ngram: int, bins: int) -> Tensor:
    """How many n-grams without padding (-1) fall in each bin, [n, bins]."""
    if tokens_nT.shape[1] < ngram:
        return tokens_nT.new_zeros(len(tokens_nT), bins)
    parts = tokens_nT.unfold(1, ngram, 1)
    code = torch.zeros_like(parts[..., 0])
    for token in parts.unbind(-1):
        code = (code * BASE + token) % bins
    row = torch.arange(len(code), device=code.device)[:, None]
    flat = (row * bins + code)[(parts >= 0).all(-1)]
    return torch.bincount(flat, minlength=len(code) * bins).view(len(code), bins)


def knn_shapley(near_RN: Tensor, right_RN: Tensor, k: int) -> Tensor:
    """Shapley value of every example in the share of right ones among the k nearest, [R, N].

    From the farthest, at min(k, N) / (k N) if right, each next nearer one differs from the one before by
    (right_i - right_{i+1}) min(k, i) / (k i), where i is its rank.
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
