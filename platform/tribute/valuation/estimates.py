"""Totals of a batch of queries by every simulation, and by the retraining of spot sources.

Legend: R replicates, U units, S sources.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAIN, RETRAINED = "simulated", "retrained"


@dataclass(frozen=True)
class Estimates:
    """Totals of a batch of queries per unit, [R, U] nats, by simulation.

    `member_US`: 1 where a source is in a unit, [U, S].
    """

    attribute_run: str
    totals: dict[str, NDArray[np.float64]]
    unit_ids: tuple[str, ...]
    member_US: NDArray[np.float64]
