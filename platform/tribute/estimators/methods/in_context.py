"""In-context influence: how much easier a training example is to predict after the query.

Legend: M drawn examples, H tokens of half a window, T tokens of a prefix, G groups, Q queries.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained
from tribute.readout import QueryRows

PADDING = -1
LAST_BYTE = 255


@dataclass(frozen=True)
class InContext(Estimator):
    """How much easier a training example is to predict with the query before it (text only).

    Sum over the group of log p(z | q) - log p(z): the nats that the query in context adds to an example.

    The method assumes that z teaches the model about q in training as much as q teaches it about z in context.
    Both probabilities are those of the first half window of z after a separator. In log p(z | q), the last half
    window of the query precedes the separator, so that everything fits into a window. Both are differences of the
    task's measurement with and without z. The measurement must be the log-likelihood of all tokens of a row but
    the first, causal, and independent of tokens of -1, as in `ByteLm`.

    Differences from the paper: losses are sums over the tokens of z, not over responses to prompts; the holdout
    set is a single query, without retrieval; scores are not scaled to [0, 1] over a batch, because they must be
    additive. Windows are halved, because a model with learned positions cannot read longer ones.

    A query costs one forward pass for each drawn example. In groups of more than `examples`, the drawn examples
    represent all of them; the sum is unbiased, with the noise of such a sample.

    Source: arXiv 2510.14459.
    """

    examples: int = 64
    """Examples drawn from each group, without replacement."""
    separator: int | None = None
    """Token between query and example. Default: 0, the byte between the documents of a corpus of bytes."""
    seed: int = 0
    """Seed of the draw."""
    rows: int = 256
    """Rows in one forward pass."""

    def __post_init__(self) -> None:
        if min(self.examples, self.rows) < 1 or (self.separator or 0) < 0 or self.seed < 0:
            raise ConfigError(
                f"in_context: examples is {self.examples}, separator {self.separator}, seed {self.seed} and rows "
                f"{self.rows}. Set examples and rows to at least 1, separator to a token, and seed to at least 0"
            )

    def fit(self, trained: Trained) -> NamedTensors:
        """Check the task; nothing is stored.

        Raises:
            ConfigError: the task does not train on windows of at least three tokens, or on parts of them; or the
                separator is not known, or the task rejects it.
        """
        tokens = trained.data.columns.get("tokens")
        if tokens is None or tokens.ndim != 2 or tokens.shape[1] < 3:
            raise ConfigError(
                "in_context needs a language model that trains on windows of 3 tokens or more, in a column named "
                f"tokens; the training set has {', '.join(trained.data.columns)}. Use another estimator"
            )
        if "target" in trained.data.columns:
            raise ConfigError(
                "in_context predicts all tokens of an example, but the rows of this corpus predict answers to "
                "prompts alone: it has the column target. Use another estimator"
            )
        if self.separator is None and int(tokens.max(initial=0)) > LAST_BYTE:
            raise ConfigError(
                "in_context does not know which token stands between the documents of this tokenizer. Name it "
                "under attribution.options as separator, such as the id of its eos_token"
            )
        no_prefix = np.zeros(0, dtype=np.int64)
        try:
            self._log_likelihood(trained, no_prefix, torch.from_numpy(tokens[:1]).long().to(trained.device))
        except IndexError as error:
            raise ConfigError(
                f"in_context: the model does not accept the separator {self.separator or 0}: {error}. Set "
                "separator to the token between documents"
            ) from error
        return {}

    def numbers_per_group(self, trained: Trained) -> int:
        """0: half windows of drawn examples take little memory."""
        return 0

    def gather(self, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        """Half windows of drawn examples [M, H], their log-likelihoods [M], groups [M], and group weights [G]."""
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

    def influence(
        self, trained: Trained, fitted: NamedTensors, gathered: NamedTensors, queries: QueryRows
    ) -> Tensor:
        """Influences, [Q, G]; see the class."""
        half, group_M, weight_G = _half(trained.data.columns["tokens"]), gathered["group_M"], gathered["weight_G"]
        influence_QG = trained.theta_P.new_zeros(len(queries.query_ids), len(weight_G))
        for query in range(len(influence_QG)):
            conditional_M = self._log_likelihood(trained, _end(queries, query, half), gathered["tokens_MH"])
            influence_QG[query].index_add_(0, group_M, conditional_M - gathered["alone_M"])
        return influence_QG * weight_G

    def _drawn(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(members) <= self.examples:
            return members
        rng = np.random.default_rng([self.seed, int(members[0])])
        return np.sort(rng.choice(members, self.examples, replace=False))

    def _log_likelihood(self, trained: Trained, before: NDArray[np.int64], tokens_MH: Tensor) -> Tensor:
        """Log-likelihood of examples after a prefix and a separator, [M], nats."""
        prefix_T = torch.tensor([*before.tolist(), self.separator or 0], device=tokens_MH.device)
        window = trained.data.columns["tokens"].shape[1]

        def measured(rows: Tensor) -> Tensor:
            padded = functional.pad(rows, (0, window - rows.shape[1]), value=PADDING)
            return trained.task.measure(trained.theta_P, {"tokens": padded})

        with torch.no_grad():
            known = measured(prefix_T[None])
            parts = [
                measured(torch.cat([prefix_T.expand(len(part), -1), part], 1)) - known
                for part in tokens_MH.split(self.rows)
            ]
        return torch.cat(parts)


def _half(windows: NDArray) -> int:
    """Number of tokens in half a window, with room for a separator."""
    return (windows.shape[1] - 1) // 2


def _end(queries: QueryRows, query: int, length: int) -> NDArray[np.int64]:
    """The last tokens of a query; its rows overlap by one token and end with padding."""
    rows = queries.columns["tokens"][queries.query_N == query]
    joined = np.concatenate([rows[:1].ravel(), rows[1:, 1:].ravel()]).astype(np.int64)
    return joined[joined >= 0][-length:]
