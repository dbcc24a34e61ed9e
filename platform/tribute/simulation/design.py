"""How the units of a simulation add up to sources: I[q, s] = sum_u I[q, u] allocation[u, s].

Legend: U units, S sources, Q queries, J jackknife samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribute.config import SimulationSettings
from tribute.simulation.coalitions import banzhaf_allocation, banzhaf_units, shapley_allocation, shapley_units
from tribute.simulation.units import Unit, change_matrix, leave_one_out_units

LEFT_OUT = 32
"""Groups of pairs that the jackknife leaves out in turn."""
ALLOCATIONS = {"banzhaf": banzhaf_allocation, "shapley": shapley_allocation}


@dataclass(frozen=True)
class Design:
    """Units and their allocation to sources, [U, S].

    `jackknife_JUS` holds the allocation without each of `LEFT_OUT` groups of complementary pairs of coalitions; it
    is empty when the units are not a sample.
    """

    units: tuple[Unit, ...]
    allocation_US: NDArray[np.float64]
    jackknife_JUS: NDArray[np.float64]

    def influence(self, influence_QU: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sources' influences, [Q, S], nats; NaN where a unit that counts has failed (is NaN)."""
        failed_QU = np.isnan(influence_QU)
        if not failed_QU.any():
            return influence_QU @ self.allocation_US
        found = np.where(failed_QU, 0, influence_QU) @ self.allocation_US
        return np.where(failed_QU.astype(float) @ (self.allocation_US != 0) > 0, np.nan, found)

    def standard_error(self, influence_QU: NDArray[np.float64]) -> NDArray[np.float64]:
        """Jackknife error of the sources' influences by sampling coalitions, [Q, S], nats; 0 without sampling."""
        count, _, sources = self.jackknife_JUS.shape
        if not count:
            return np.zeros((len(influence_QU), sources))
        left_out_JQS = np.nan_to_num(influence_QU) @ self.jackknife_JUS
        spread: NDArray[np.float64] = np.sqrt((count - 1) * left_out_JQS.var(0))
        return spread


def drawn_units(settings: SimulationSettings, source_ids: Sequence[str], seed: int) -> list[Unit]:
    """The units that a notion of value asks for; groups are made elsewhere, from the sources' content."""
    if settings.notion == "banzhaf":
        return banzhaf_units(len(source_ids), settings.coalitions, seed)
    if settings.notion == "shapley":
        return shapley_units(len(source_ids), settings.coalitions, seed)
    return leave_one_out_units(source_ids)


def design_of(
    notion: str, units: Sequence[Unit], tokens_S: NDArray[np.float64], failed: Sequence[bool] = ()
) -> Design:
    """The allocation of units: single sources as they are, groups by tokens, coalitions as the notion says.

    Args:
        failed: units whose simulation failed; coalitions are left out with their complements, for what the others
            say of the same sources.
    """
    removed_US = change_matrix(units, len(tokens_S))
    if notion == "leave_one_out":
        held_US = removed_US * tokens_S
        allocation = held_US / held_US.sum(1, keepdims=True)
        return Design(tuple(units), allocation, np.zeros((0, len(units), len(tokens_S))))
    allocate, removed, first = ALLOCATIONS[notion], removed_US.astype(bool), len(units) % 2
    pairs = np.arange(first, len(units)).reshape(-1, 2)
    alive_U = ~np.array(failed or [False] * len(units))
    alive_U[pairs[~alive_U[pairs].all(1)]] = False
    chosen = [alive_U.copy() for _ in range(max(1, min(len(pairs), LEFT_OUT)))]
    for row_U, left_out in zip(chosen, np.array_split(pairs, len(chosen)), strict=True):
        row_U[left_out] = False
    jackknife = np.stack([allocate(removed, row_U) for row_U in chosen])
    return Design(tuple(units), allocate(removed, alive_U), jackknife)
