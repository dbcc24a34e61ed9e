"""What a batch of queries says of the sources: cheap estimates of all, and real trainings without some.

Legend: R replicates, U units, S sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tribute.valuation.posterior import Posterior, posterior
from tribute.valuation.terms import Trainings

MAIN = "simulated"


@dataclass(frozen=True)
class Estimates:
    """Totals of a batch of queries per unit, a source or a group of sources.

    Args:
        attribute_run: the batch; empty: the period itself.
        totals: by simulation or estimator, [R, U], NaN where it failed; `MAIN`, the one paid by, comes last.
        unit_ids: [U].
        member_US: 1 where a source is in a unit, [U, S].
        trainings: without some of the units, read out on the same queries.
        seeds: of the replicates, [R], as the trainings have them; empty: they are no seeds of trainings.
        uses: of the batch's queries; 0: the period is the batch.
        shared: whether the period has these uses among its own.
    """

    attribute_run: str
    totals: dict[str, NDArray[np.float64]]
    unit_ids: tuple[str, ...]
    member_US: NDArray[np.float64]
    trainings: Trainings
    seeds: tuple[int, ...] = ()
    uses: float = 0.0
    shared: bool = True

    def posterior(self, tokens_S: NDArray[np.float64], draws: int, seed: int) -> Posterior:
        """The values of the units.

        Args:
            tokens_S: learnt tokens of the sources, [S].
            seed: of the draws.
        """
        tokens_U = self.member_US @ tokens_S
        return posterior(self.totals, tokens_U, self.trainings, seeds=self.seeds, draws=draws, seed=seed)

    @classmethod
    def of_sources(cls, source_ids: Sequence[str], totals_RS: NDArray[np.float64]) -> "Estimates":
        """The simulated totals of single sources, and nothing else."""
        return replace(cls.of_tokens(source_ids), totals={MAIN: totals_RS})

    @classmethod
    def of_tokens(cls, source_ids: Sequence[str]) -> "Estimates":
        """No estimate of single sources: token counts are all that is known."""
        count = len(source_ids)
        return cls("", {}, tuple(source_ids), np.eye(count), Trainings.none(count))
