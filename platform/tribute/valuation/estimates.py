"""What the simulations of a project, and the real retraining of its spot sources, said of a batch of queries.

Legend: R replicates, U units, S sources.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAIN, RETRAINED = "simulated", "retrained"


@dataclass(frozen=True)
class Estimates:
    """Totals of a batch of queries per unit, [R, U] nats, by simulation; which sources are in a unit, [U, S]."""

    attribute_run: str
    totals: dict[str, NDArray[np.float64]]
    unit_ids: tuple[str, ...]
    member_US: NDArray[np.float64]
