"""In-context approximation: how much easier a training example is to predict after the query.

Legend: M drawn examples, H tokens of half a window, T of a prefix, G groups, Q queries.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained
from tribute.readout import QueryRows

ROWS = 256
"""Rows in one forward pass."""
PADDING = -1


@dataclass(frozen=True)
class InContext(Estimator):
    """How much easier a training example is to predict with the query before it (text only).

    Sum over the group of log p(z | q) - log p(z): nats that the query in context adds to an example.

    The approximation is that what q teaches of z in context, z would teach of q in training. Both probabilities
    are of the first half window of z. It follows a separator, and in log p(z | q) the last half window of the
    query, its rows joined, comes before that; so everything fits in a window, and z stands later in it than alone.
    Both are differences of the task's measurement with and without z: it has to be the log-likelihood of all
    tokens after a row's first, causal, and blind to a token of -1, as `ByteLm` is.

    Departures: losses are sums over z's tokens, where the paper's are of responses to prompts; one query is the
    whole holdout set, without retrieval; scores are not scaled to [0, 1] over a batch, which would not add up.
    Windows are cut in half since a model of learned positions takes no longer ones.

    A query costs a forward pass for every drawn example. Where a group has more than `examples`, those drawn stand
    for all: the sum is unbiased, and as noisy as such a sample is.

    Source: arXiv 2510.14459.
    """

    examples: int = 64
    """Examples drawn from each group, without replacement: a query's forward passes for the group."""
    separator: int = 0
    """Token between query and example: the byte between documents of a corpus."""
    seed: int = 0
    """Of the draw."""

    def __post_init__(self) -> None:
        if self.examples < 1 or self.separator < 0 or self.seed < 0:
            raise ConfigError(
                "Estimator in_context: examples is at least 1, separator a token, seed at least 0; got "
                f"{self.examples}, {self.separator} and {self.seed}"
            )

    def fit(self, trained: Trained) -> Kept:
        """Nothing.

        Raises:
            ConfigError: the task does not train on windows of at least three tokens, or has no such separator.
        """
        tokens = trained.data.columns.get("tokens")
        if tokens is None or tokens.ndim != 2 or tokens.shape[1] < 3:
            raise ConfigError(
                "Estimator in_context needs a language model that trains on windows of 3 tokens or more, in a "
                f"column named tokens; the training set has {', '.join(trained.data.columns)}. Use another"
            )
        nothing = np.zeros(0, dtype=np.int64)
        try:
            self._log_likelihood(trained, nothing, torch.from_numpy(tokens[:1]).long().to(trained.device))
        except IndexError as error:
            raise ConfigError(
                f"Estimator in_context: the model does not know the separator {self.separator}: {error}. Set "
                "separator to a token of yours that stands between documents"
            ) from error
        return {}

    def held(self, trained: Trained) -> int:
        """Next to nothing: half windows of drawn examples."""
        return 0

    def gather(self, trained: Trained, fitted: Kept, groups: Groups) -> Kept:
        """Half windows of drawn examples [M, H], their log-likelihood alone [M], and whom they stand for."""
        drawn = [self._drawn(groups.members(group)) for group in range(groups.count)]
        chosen_M = np.concatenate([np.zeros(0, dtype=np.int64), *drawn])
        group_M = torch.from_numpy(groups.group_N[chosen_M]).to(trained.device)
        size_G = torch.bincount(torch.from_numpy(groups.group_N[groups.chosen]), minlength=groups.count)
        count_G = torch.tensor([len(each) for each in drawn])
        weight_G = (size_G / count_G.clamp(min=1)).to(trained.theta_P)
        windows = trained.data.columns["tokens"]
        tokens_MH = torch.from_numpy(windows[chosen_M, : _half(windows)]).long().to(trained.device)
        alone_M = self._log_likelihood(trained, np.zeros(0, dtype=np.int64), tokens_MH)
        return {
            "tokens_MH": tokens_MH,
            "alone_M": alone_M,
            "group_M": group_M,
            "weight_G": weight_G,
        }

    def influence(self, trained: Trained, fitted: Kept, gathered: Kept, queries: QueryRows) -> Tensor:
        """See the class; [Q, G]."""
        half, group_M, weight_G = _half(trained.data.columns["tokens"]), gathered["group_M"], gathered["weight_G"]
        found_QG = trained.theta_P.new_zeros(len(queries.query_ids), len(weight_G))
        for query in range(len(found_QG)):
            told_M = self._log_likelihood(trained, _end(queries, query, half), gathered["tokens_MH"])
            found_QG[query].index_add_(0, group_M, told_M - gathered["alone_M"])
        return found_QG * weight_G

    def _drawn(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(members) <= self.examples:
            return members
        rng = np.random.default_rng([self.seed, int(members[0])])
        return np.sort(rng.choice(members, self.examples, replace=False))

    def _log_likelihood(self, trained: Trained, before: NDArray[np.int64], tokens_MH: Tensor) -> Tensor:
        """log p of examples after a text and a separator, [M], nats."""
        prefix_T = torch.tensor([*before.tolist(), self.separator], device=tokens_MH.device)
        window = trained.data.columns["tokens"].shape[1]

        def measured(rows: Tensor) -> Tensor:
            padded = functional.pad(rows, (0, window - rows.shape[1]), value=PADDING)
            return trained.task.measure(trained.theta_P, {"tokens": padded})

        with torch.no_grad():
            known = measured(prefix_T[None])
            parts = [
                measured(torch.cat([prefix_T.expand(len(part), -1), part], 1)) - known
                for part in tokens_MH.split(ROWS)
            ]
        return torch.cat(parts)


def _half(windows: NDArray) -> int:
    """Tokens of half a window, with room for a separator."""
    return (windows.shape[1] - 1) // 2


def _end(queries: QueryRows, query: int, length: int) -> NDArray[np.int64]:
    """The last tokens of a query, whose rows overlap by one token and end with padding."""
    rows = queries.columns["tokens"][queries.query_N == query]
    joined = np.concatenate([rows[:1].ravel(), rows[1:, 1:].ravel()]).astype(np.int64)
    return joined[joined >= 0][-length:]
