"""Allocation of units to sources: I[q, s] = sum_u I[q, u] allocation[u, s].

Coalitions come in complementary pairs. With D_c = v(everything) - v(coalition c), Banzhaf and Shapley values are
both linear in the differences v(coalition) - v(complement), so also in D.

Legend: U units, C coalitions, P pairs, S sources, Q queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribute.config import SimulationSettings
from tribute.simulation.units import (
    Unit,
    banzhaf_units,
    change_matrix,
    leave_one_out_units,
    pair_sizes,
    shapley_units,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SampledPairs:
    """Pairs of coalitions that stand for others, too: their units, and how much each adds to the errors of values.

    A pair adds `error_PS` times its residual, which is v(coalition) - v(complement) minus the prediction of the
    values, values times `predicted_SP`.
    """

    members_P2: NDArray[np.intp]
    predicted_SP: Array
    error_PS: Array

    def residual(self, influence_QU: Array, influence_QS: Array) -> Array:
        """Residual of every pair, [Q, P] nats."""
        first_P, second_P = self.members_P2.T
        return np.asarray(influence_QU[:, second_P] - influence_QU[:, first_P] - influence_QS @ self.predicted_SP)


@dataclass(frozen=True)
class Design:
    """Units and their allocation to sources, [U, S]; and the sampled pairs of coalitions.

    `sampled` is None if the units are not a sample: for leave-one-out, and if every coalition is there.
    """

    units: tuple[Unit, ...]
    allocation_US: Array
    sampled: SampledPairs | None = None

    def influence(self, influence_QU: NDArray[np.floating], columns: Sequence[int] | None = None) -> Array:
        """Influences of the sources, [Q, S], nats; NaN if a unit with a nonzero allocation failed (is NaN).

        Args:
            columns: the sources to compute; None: all.
        """
        allocation_US = self.allocation_US if columns is None else self.allocation_US[:, list(columns)]
        used_U = (allocation_US != 0).any(1)
        allocation_US, used_QU = allocation_US[used_U], influence_QU[:, used_U].astype(np.float64)
        failed_QU = np.isnan(used_QU)
        if not failed_QU.any():
            return np.asarray(used_QU @ allocation_US)
        influence_QS = np.where(failed_QU, 0, used_QU) @ allocation_US
        return np.where(failed_QU.astype(float) @ (allocation_US != 0) > 0, np.nan, influence_QS)

    def standard_error(self, influence_QU: NDArray[np.floating], columns: Sequence[int] | None = None) -> Array:
        """Standard error of the influences from sampling coalitions, [Q, S], nats; 0 without sampling.

        All queries and replicates have the same coalitions: the error of a sum of influences is that of the
        summed units, and not the root of a sum of squares.
        """
        chosen = list(range(self.allocation_US.shape[1]) if columns is None else columns)
        if self.sampled is None:
            return np.zeros((len(influence_QU), len(chosen)))
        nats_QU, error_PS = np.nan_to_num(influence_QU.astype(np.float64)), self.sampled.error_PS[:, chosen]
        residual_QP = self.sampled.residual(nats_QU, self.influence(nats_QU))
        square_QS = np.square(residual_QP) @ np.square(error_PS)
        square_QS -= np.square(residual_QP @ error_PS) / len(error_PS)
        return np.sqrt(square_QS.clip(0))

    def sampling_errors(self, influence_U: Array) -> Array:
        """Errors of the sources' influences from sampling coalitions: an independent part per pair, [P, S] nats.

        Their sum of squares is the square of `standard_error`. Without sampling there are no pairs.

        Args:
            influence_U: influences of the units on a query, or summed over queries, [U] nats.
        """
        if self.sampled is None:
            return np.zeros((0, self.allocation_US.shape[1]))
        nats_QU = np.nan_to_num(influence_U[None])
        [residual_P] = self.sampled.residual(nats_QU, self.influence(nats_QU))
        part_PS = self.sampled.error_PS * residual_P[:, None]
        return np.asarray(part_PS - part_PS.mean(0))


def drawn_units(settings: SimulationSettings, source_ids: Sequence[str], seed: int) -> list[Unit]:
    """Units of the notion of value in `simulation.notion`, without grouping."""
    if settings.notion == "banzhaf":
        return banzhaf_units(len(source_ids), settings.coalitions, seed)
    if settings.notion == "shapley":
        return shapley_units(len(source_ids), settings.coalitions, seed)
    return leave_one_out_units(source_ids)


def design_of(notion: str, units: Sequence[Unit], tokens_S: Array, failed: Sequence[bool] = ()) -> Design:
    """Allocation of units to sources: by tokens within groups, by the notion's formula for coalitions.

    Args:
        notion: `leave_one_out`, `banzhaf` or `shapley`.
        tokens_S: training tokens of each source.
        failed: whether the simulation of each unit failed. A failed coalition is left out with its complement; if
            too few pairs are left, every value is NaN.
    """
    removed_US = change_matrix(units, len(tokens_S)).astype(np.float64)
    if notion == "leave_one_out":
        tokens_US = removed_US * tokens_S
        return Design(tuple(units), tokens_US / tokens_US.sum(1, keepdims=True))
    pairs_P2 = _distinct_pairs(removed_US.astype(bool), np.array(failed or [False] * len(units)))
    sign_PS = 1.0 - 2.0 * removed_US[pairs_P2[:, 0]]
    found = (_shapley if notion == "shapley" else _banzhaf)(sign_PS)
    if found is None:
        return Design(tuple(units), np.full(removed_US.shape, np.nan))
    value_PS, error_PS, everything_S = found
    allocation_US: Array = np.zeros(removed_US.shape)
    allocation_US[pairs_P2[:, 0]], allocation_US[pairs_P2[:, 1]] = -value_PS, value_PS
    allocation_US[0] += everything_S
    inexact_P = error_PS.any(1)
    if not inexact_P.any():
        return Design(tuple(units), allocation_US)
    predicted_SP = sign_PS.T * (notion == "shapley")
    sampled = SampledPairs(pairs_P2[inexact_P], predicted_SP[:, inexact_P], error_PS[inexact_P])
    return Design(tuple(units), allocation_US, sampled)


def _distinct_pairs(removed_US: NDArray[np.bool_], failed_U: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Units of every complementary pair without a failure, [P, 2]; a pair that was drawn again counts once."""
    pairs_P2 = np.arange(len(removed_US) % 2, len(removed_US)).reshape(-1, 2)
    pairs_P2 = pairs_P2[~failed_U[pairs_P2].any(1)]
    first_PS = removed_US[pairs_P2[:, 0]]
    _, kept = np.unique(first_PS ^ first_PS[:, :1], axis=0, return_index=True)
    return np.asarray(pairs_P2[np.sort(kept)])


def _banzhaf(sign_PS: Array) -> tuple[Array, Array, Array] | None:
    """Means over the pairs, with the error of a mean under sampling without replacement from all 2^(S - 1) pairs.

    Returns:
        As weights: [P, S] of v(coalition) - v(complement), [P, S] of the errors, and [S] of v(everything) -
        v(nothing). None: too few pairs.

    Source: maximum sample reuse, Wang & Jia (arXiv 2205.15466).
    """
    count, sources = sign_PS.shape
    drawn = count / 2.0 ** (sources - 1)
    if drawn < 1 and count < 2:
        return None
    value_PS = sign_PS / count
    return value_PS, value_PS * np.sqrt((1 - drawn) * count / max(count - 1, 1)), np.zeros(sources)


def _shapley(sign_PS: Array) -> tuple[Array, Array, Array] | None:
    """Weighted least squares over the pairs whose values sum to v(everything) - v(nothing).

    A pair of coalitions of k and S - k sources weighs as much as the Shapley kernel gives all pairs of this size,
    divided by the number of them that were drawn. With every pair the values are exact. The error is that of a
    regression estimator under sampling without replacement within sizes; residuals are divided by 1 - leverage.

    Returns:
        What `_banzhaf` does.

    Source: KernelSHAP, Covert & Lee (arXiv 2012.01536).
    """
    count, sources = sign_PS.shape
    if sources == 1:
        return np.zeros((count, 1)), np.zeros((count, 1)), np.ones(1)
    total_K, mass_K = pair_sizes(sources)
    kept_P = (sign_PS > 0).sum(1)
    size_P = np.minimum(kept_P, sources - kept_P) - 1
    drawn_K = np.bincount(size_P, minlength=len(total_K))
    weight_P = mass_K[size_P] / drawn_K[size_P]
    square_SS = sign_PS.T * weight_P @ sign_PS + 1
    enough = count == total_K.sum() or count >= sources == np.linalg.matrix_rank(square_SS)
    if not enough:
        return None
    inverse_SS = np.linalg.inv(square_SS)
    everything_S = inverse_SS.sum(1) / inverse_SS.sum()
    value_PS = weight_P[:, None] * (sign_PS @ (inverse_SS - np.outer(everything_S, inverse_SS.sum(0))))
    leverage_P = (value_PS * sign_PS).sum(1)
    drawn_P = drawn_K[size_P] / total_K[size_P] * drawn_K.all()  # the other sizes stand for one without a pair
    error_PS = value_PS * (np.sqrt(1 - drawn_P) / (1 - leverage_P).clip(1e-6))[:, None]
    return value_PS, error_PS, everything_S
