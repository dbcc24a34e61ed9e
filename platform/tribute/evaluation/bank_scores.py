"""Scores of an influence estimate on a bank of retrained values: the row of a method in a published table.

An estimate gives every training example a score for every query: higher if training on the example raises the
query's measurement f, the log-likelihood, and so lowers its loss. The unit does not matter, but scores of examples
add up.

Legend: N training examples, Q queries, M retrainings, K sets that were left out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.errors import ConfigError
from tribute.evaluation.bank import BankSettings, Kind, RetrainBank
from tribute.evaluation.metrics import (
    Correlation,
    Figure,
    bootstrapped,
    linear_correlation,
    rank_correlation,
)

Array = NDArray[np.float64]
RESAMPLES = 200
"""Bootstrap resamples behind an interval."""


class BankScores(NamedTuple):
    """Scores with their 95% intervals; None where the bank has no such retrainings, or the estimate no order.

    Each is the correlation, over sets that were left out, of the left-out examples' summed scores with what the
    queries lost, averaged over queries.

    ``lds_half_other_seed``: Spearman, random halves, f averaged over all seeds but the bank's own.
    ``lds_half_same_seed``: Spearman, random halves, the own seed. ``lds_percent``: Spearman, about a percent left
    out, the own seed. ``leave_one_out``: Pearson, single examples whose weight is 0 in their place, the own seed.
    ``leave_one_out_deleted``: the same by deletion, which shifts every later batch.

    Source: LDS, TRAK, arXiv 2303.14186.
    """

    lds_half_other_seed: Figure | None
    lds_half_same_seed: Figure | None
    lds_percent: Figure | None
    leave_one_out: Figure | None
    leave_one_out_deleted: Figure | None

    def as_row(self) -> dict[str, dict[str, float] | None]:
        """Every score as `value`, `low` and `high`, for JSON."""
        return {name: figure and figure._asdict() for name, figure in self._asdict().items()}


class _Rule(NamedTuple):
    kind: Kind
    own_seed: bool
    correlation: Correlation


_RULES = {
    "lds_half_other_seed": _Rule("half", False, rank_correlation),
    "lds_half_same_seed": _Rule("half", True, rank_correlation),
    "lds_percent": _Rule("percent", True, rank_correlation),
    "leave_one_out": _Rule("leave_one_out", True, linear_correlation),
    "leave_one_out_deleted": _Rule("deleted", True, linear_correlation),
}


def bank_scores(scores_NQ: Array, bank: RetrainBank, resamples: int = RESAMPLES, seed: int = 0) -> BankScores:
    """Score an estimate by the retrainings of a bank.

    Args:
        scores_NQ: score of every training example for every query.
        resamples: bootstrap resamples of queries and left-out sets behind the intervals.
        seed: of the bootstrap.

    Raises:
        ConfigError: another number of examples or queries, or a score that is not finite; names it.
    """
    check_scores(scores_NQ, bank.settings, "The scores")
    figures = {name: _figure(rule, scores_NQ, bank, resamples, seed) for name, rule in _RULES.items()}
    return BankScores(**figures)


def unordered_queries(scores_NQ: Array) -> int:
    """Queries for which all examples have one score: they have no order, and no part in the mean."""
    return int((np.ptp(scores_NQ, axis=0) == 0).sum())


def check_scores(scores_NQ: NDArray, settings: BankSettings, what: str) -> None:
    """Refuse scores that are not of the setting's examples and queries, or not finite.

    Args:
        what: what the message begins with, such as the name of the file.

    Raises:
        ConfigError: see above.
    """
    expected = (settings.examples, settings.queries)
    if scores_NQ.shape != expected:
        remedy = "Transpose them" if scores_NQ.shape == expected[::-1] else "Score the setting's own data"
        raise ConfigError(
            f"{what}: the shape is {list(scores_NQ.shape)}, expected {list(expected)}, the examples and queries "
            f"of setting {settings.name}. {remedy}"
        )
    if not np.isfinite(scores_NQ).all():
        example, query = np.argwhere(~np.isfinite(scores_NQ))[0].tolist()
        raise ConfigError(
            f"{what}: the score of example {example} for query {query} is {scores_NQ[example, query]}, expected a "
            "finite number. Mend the estimate"
        )


def _figure(rule: _Rule, scores_NQ: Array, bank: RetrainBank, resamples: int, seed: int) -> Figure | None:
    chosen_M = bank.chosen(rule.kind) & ((bank.seed_M == bank.settings.own_seed) == rule.own_seed)
    if not chosen_M.any():
        return None
    removed_KN, measured_KQ = _over_seeds(~bank.kept_MN[chosen_M], bank.measured_MQ[chosen_M])
    # f of the training on everything is the same for all sets, so that no correlation over sets depends on it.
    predicted_QK = (removed_KN.astype(np.float64) @ scores_NQ).T
    return bootstrapped(predicted_QK, -measured_KQ.T, resamples, seed, rule.correlation)


def _over_seeds(removed_MN: NDArray[np.bool_], measured_MQ: NDArray) -> tuple[NDArray[np.bool_], Array]:
    """The distinct sets, and f without each, averaged over its retrainings, [K, Q] nats."""
    packed_MB = np.packbits(removed_MN, axis=1)
    _, first_K, set_M = np.unique(packed_MB, axis=0, return_index=True, return_inverse=True)
    sums_KQ = np.zeros((len(first_K), measured_MQ.shape[1]))
    np.add.at(sums_KQ, set_M.ravel(), measured_MQ.astype(np.float64))
    return removed_MN[first_K], sums_KQ / np.bincount(set_M.ravel())[:, None]
