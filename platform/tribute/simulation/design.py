"""Allocation of units to sources: I[q, s] = sum_u I[q, u] allocation[u, s].

With D_c = v(everything) - v(coalition c), Banzhaf and Shapley values are both linear in D.

Legend: U units, C coalitions, S sources, Q queries, J jackknife samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from tribute.config import SimulationSettings
from tribute.simulation.units import Unit, banzhaf_units, change_matrix, leave_one_out_units, shapley_units

JACKKNIFE_GROUPS = 32
"""Groups of complementary pairs; the jackknife leaves out one group at a time."""


@dataclass(frozen=True)
class Design:
    """Units and their allocation to sources, [U, S].

    `jackknife_JUS` holds the allocations that leave out one of `JACKKNIFE_GROUPS` groups of coalition pairs. It is
    empty if the units are not a sample: for leave-one-out, and if every coalition is there.
    """

    units: tuple[Unit, ...]
    allocation_US: NDArray[np.float64]
    jackknife_JUS: NDArray[np.float64]

    def influence(self, influence_QU: NDArray[np.float64]) -> NDArray[np.float64]:
        """Influences of the sources, [Q, S], nats; NaN if a unit with a nonzero allocation failed (is NaN)."""
        failed_QU = np.isnan(influence_QU)
        if not failed_QU.any():
            return influence_QU @ self.allocation_US
        influence_QS = np.where(failed_QU, 0, influence_QU) @ self.allocation_US
        return np.where(failed_QU.astype(float) @ (self.allocation_US != 0) > 0, np.nan, influence_QS)

    def standard_error(self, influence_QU: NDArray[np.float64]) -> NDArray[np.float64]:
        """Jackknife error of the influences from sampling coalitions, [Q, S], nats; 0 without sampling."""
        count, _, sources = self.jackknife_JUS.shape
        if not count:
            return np.zeros((len(influence_QU), sources))
        left_out_JQS = np.nan_to_num(influence_QU) @ self.jackknife_JUS
        spread: NDArray[np.float64] = np.sqrt((count - 1) * left_out_JQS.var(0))
        return spread


def drawn_units(settings: SimulationSettings, source_ids: Sequence[str], seed: int) -> list[Unit]:
    """Units of the notion of value in `simulation.notion`, without grouping."""
    if settings.notion == "banzhaf":
        return banzhaf_units(len(source_ids), settings.coalitions, seed)
    if settings.notion == "shapley":
        return shapley_units(len(source_ids), settings.coalitions, seed)
    return leave_one_out_units(source_ids)


def design_of(
    notion: str, units: Sequence[Unit], tokens_S: NDArray[np.float64], failed: Sequence[bool] = ()
) -> Design:
    """Allocation of units to sources: by tokens within groups, by the notion's formula for coalitions.

    Args:
        notion: `leave_one_out`, `banzhaf` or `shapley`.
        tokens_S: training tokens of each source.
        failed: whether the simulation of each unit failed. A failed coalition is left out with its complement.
    """
    removed_US = change_matrix(units, len(tokens_S))
    if notion == "leave_one_out":
        tokens_US = removed_US * tokens_S
        allocation = tokens_US / tokens_US.sum(1, keepdims=True)
        return Design(tuple(units), allocation, np.zeros((0, len(units), len(tokens_S))))
    allocate, removed, first = ALLOCATIONS[notion], removed_US.astype(bool), len(units) % 2
    pairs = np.arange(first, len(units)).reshape(-1, 2)
    alive_U = ~np.array(failed or [False] * len(units))
    alive_U[pairs[~alive_U[pairs].all(1)]] = False
    if alive_U.all() and _complete(removed[first:]):
        return Design(tuple(units), allocate(removed, alive_U), np.zeros((0, *removed.shape)))
    chosen = [alive_U.copy() for _ in range(max(1, min(len(pairs), JACKKNIFE_GROUPS)))]
    for row_U, left_out in zip(chosen, np.array_split(pairs, len(chosen)), strict=True):
        row_U[left_out] = False
    jackknife = np.stack([allocate(removed, row_U) for row_U in chosen])
    return Design(tuple(units), allocate(removed, alive_U), jackknife)


def _complete(removed_CS: NDArray[np.bool_]) -> bool:
    """Whether every coalition is there once, apart from the empty and the whole one."""
    count, sources = removed_CS.shape
    inner_CS = removed_CS[removed_CS.any(1) & ~removed_CS.all(1)]
    return count <= 2**sources and len(inner_CS) == len(np.unique(inner_CS, axis=0)) == 2**sources - 2


def banzhaf_allocation(removed_CS: NDArray[np.bool_], chosen_C: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of v over coalitions with s minus the mean over those without, as weights of D, [C, S].

    Args:
        removed_CS: the sources that each coalition lacks.
        chosen_C: the coalitions to use.

    Source: maximum sample reuse, Wang & Jia (arXiv 2205.15466).
    """
    outside, inside = removed_CS & chosen_C[:, None], ~removed_CS & chosen_C[:, None]
    allocation: NDArray[np.float64] = outside / outside.sum(0).clip(1) - inside / inside.sum(0).clip(1)
    return allocation


def shapley_allocation(removed_CS: NDArray[np.bool_], chosen_C: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Least squares over the coalitions, as weights of D, [C, S].

    phi = A^-1 (b - 1 (1' A^-1 b - D_none) / (1' A^-1 1)) with A = mean z z' and b = mean z (D_none - D_c), so that
    the values sum to D_none = v(everything) - v(nothing). If every coalition is there once, the means weigh a
    coalition of size k by the kernel (S - 1) / (C(S, k) k (S - k)), and phi is exact.

    Args:
        removed_CS: the sources that each coalition lacks; the first row must lack all of them.
        chosen_C: the coalitions to use.

    Source: KernelSHAP, Covert & Lee (arXiv 2012.01536).
    """
    drawn = chosen_C.copy()
    drawn[0] = False
    if removed_CS.shape[1] == 1:
        return np.eye(len(removed_CS), 1)
    z_CS = (~removed_CS[drawn]).astype(np.float64)
    sources = z_CS.shape[1]
    chance_C = _kernel(z_CS) if _complete(removed_CS[drawn]) else np.full(len(z_CS), 1 / len(z_CS))
    of_b_SC = np.zeros((sources, len(removed_CS)))
    of_b_SC[:, drawn] = -z_CS.T * chance_C
    of_b_SC[:, 0] = chance_C @ z_CS
    inverse = np.linalg.pinv(z_CS.T * chance_C @ z_CS)
    solved, ones = inverse @ of_b_SC, inverse.sum(1)
    excess = solved.sum(0)
    excess[0] -= 1
    allocation: NDArray[np.float64] = (solved - np.outer(ones / ones.sum(), excess)).T
    return allocation


def _kernel(z_CS: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shapley kernel of each coalition, [C], with sum 1."""
    sources, size_C = z_CS.shape[1], z_CS.sum(1).astype(int)
    weight_C = np.array([1 / (comb(sources, k) * k * (sources - k)) for k in size_C.tolist()])
    return weight_C / weight_C.sum()


ALLOCATIONS = {"banzhaf": banzhaf_allocation, "shapley": shapley_allocation}
