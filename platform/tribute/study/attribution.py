"""What each source did for each query.

Legend: R replicates, Q queries, U units, S sources.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tribute.config import SimulationSettings
from tribute.corpus import QueryTable
from tribute.simulation import Simulated
from tribute.study.plots import heat_map
from tribute.study.table import Result, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NATS = ("paired", "tangent")
"""Methods whose influences are in nats; an estimator's docstring says what its own are in."""


@dataclass(frozen=True, repr=False)
class Attribution(Result):
    """Influence of every source on every query, the mean over the replicates.

    Positive: the source helped the query. In nats for `paired` and `tangent`; an estimator has a unit of its own.
    Shapes: Q queries, S sources, R replicates.

    Args:
        method: how it was computed.
        query_ids: [Q].
        source_ids: [S].
        influence_RQS: by replicate, [R, Q, S]; NaN where a simulation failed.
        measurement_Q: what the first replicate's model itself measures, [Q] nats.

    >>> influence = study.attribute(queries)
    >>> influence.influence_QS.shape
    (24, 3)
    >>> influence.to_pandas().shape
    (24, 4)
    """

    method: str
    query_ids: tuple[str, ...]
    source_ids: tuple[str, ...]
    influence_RQS: NDArray[np.float32]
    measurement_Q: NDArray[np.float64]
    queries: QueryTable
    settings: SimulationSettings
    units: tuple[Simulated, ...] = field(default=())
    influence_RQU: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))

    @property
    def influence_QS(self) -> NDArray[np.float64]:
        """Mean over the replicates whose simulation did not fail, [Q, S]; NaN where all failed."""
        counted_QS = np.isfinite(self.influence_RQS).sum(0)
        total_QS = np.nan_to_num(self.influence_RQS.astype(np.float64)).sum(0)
        return np.where(counted_QS > 0, total_QS / counted_QS.clip(1), np.nan)

    @property
    def title(self) -> str:
        """Size and method."""
        unit = "nats" if self.method in NATS else "its own unit"
        return (
            f"Influence of {len(self.source_ids)} sources on {len(self.query_ids)} queries by {self.method}, "
            f"{len(self.influence_RQS)} replicate(s), {unit}; positive: the source helped"
        )

    def rows(self) -> list[Row]:
        """A row per query, a column per source."""
        return [
            {"query_id": query_id} | dict(zip(self.source_ids, values, strict=True))
            for query_id, values in zip(self.query_ids, self.influence_QS.tolist(), strict=True)
        ]

    def plot(self) -> "Axes":
        """A heat map of queries and sources."""
        return heat_map(self.influence_QS, self.source_ids, self.title)
