"""What is simulated together: a single source, a group of them, or all but a coalition."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Unit:
    """Sources (indices in the training set) whose weight is lowered together, and the name of that."""

    unit_id: str
    removed: tuple[int, ...]


def change_matrix(units: Sequence[Unit], sources: int) -> NDArray[np.float32]:
    """1 where a unit lowers the weight of a source, [units, sources]."""
    change = np.zeros((len(units), sources), dtype=np.float32)
    for row, unit in enumerate(units):
        change[row, list(unit.removed)] = 1
    return change


def leave_one_out_units(source_ids: Sequence[str]) -> list[Unit]:
    """Every source for itself: leave one out."""
    return [Unit(source_id, (index,)) for index, source_id in enumerate(source_ids)]
