"""What each source was worth, with intervals and what it cost to find out.

Legend: S sources, N draws.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tribute.royalty.division import DEFAULT_POLICY, Policy
from tribute.royalty.document import Repetition, repetition_words
from tribute.study.plots import bars
from tribute.study.shares import Shares, divided
from tribute.study.table import Result, Row, percent
from tribute.valuation import expected_misallocation, interval
from tribute.valuation.rows import CorpusSources
from tribute.valuation.values import SourceValues

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Cost:
    """What a valuation took.

    Args:
        trainings: computed steps of trajectories, in multiples of one training; the replicates' own included. One
            training of a checkpoint is a further training.
        retrains: how many of them were real trainings without a source.
        forwards: forward passes per query.
        repetition: how the model was trained without a source.
    """

    trainings: float
    retrains: int
    forwards: float
    repetition: Repetition = "retrained"

    def __str__(self) -> str:
        trainings = repetition_words(self.repetition).trainings
        return (
            f"{self.trainings:.1f} trainings, {self.retrains} of them real {trainings} without a source; "
            f"{self.forwards:.0f} forward passes a query"
        )


@dataclass(frozen=True, repr=False)
class Values(Result):
    """Value of every source, summed over the queries, with 95% intervals and what it cost.

    Shapes: S sources, N draws.

    Args:
        source_ids: [S].
        tokens: [S].
        values: totals as measured and as valued, [S] nats, and draws of the latter, [N, S].
        cost: what it took.

    >>> values = study.value(study.attribute(queries))
    >>> [row["source_id"] for row in values.rows()]
    ['a', 'b', 'c']
    >>> values.value_S.shape
    (3,)
    """

    source_ids: tuple[str, ...]
    tokens: tuple[int, ...]
    values: SourceValues
    cost: Cost

    @property
    def value_S(self) -> NDArray[np.float64]:
        """Values, [S] nats."""
        return self.values.value_S

    def interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends of 95% intervals, [S] nats each."""
        return interval(self.values.draws_NS)

    @property
    def calibration(self) -> dict[str, Any]:
        """What the values rest on: the trainings without sources, and the coefficients of the estimates."""
        found: dict[str, Any] = json.loads(self.values.note)
        return found

    @property
    def expected_misallocation(self) -> float:
        """Expected part of the pool that goes to another source than by the true values, 0 to 1."""
        by_tokens = np.array(self.tokens) / sum(self.tokens)
        return expected_misallocation(self.values.draws_NS, self.value_S, fallback_P=by_tokens)

    @property
    def title(self) -> str:
        """Precision, size and cost."""
        return (
            f"{percent(self.expected_misallocation)} of the pool expected in the wrong place. Values of "
            f"{len(self.source_ids)} sources, nats; {self.cost}"
        )

    def rows(self) -> list[Row]:
        """A row per source: value, both ends of its interval, what the simulation measured, tokens."""
        low_S, high_S = self.interval()
        columns = (self.value_S, low_S, high_S, self.values.attribution_S)
        return [
            {"source_id": name, "value": value, "low": low, "high": high, "measured": raw, "tokens": count}
            for name, count, value, low, high, raw in zip(
                self.source_ids, self.tokens, *(each.tolist() for each in columns), strict=True
            )
        ]

    def shares(
        self,
        rights: Mapping[str, str | Mapping[str, Any]] | None = None,
        policy: Policy | Mapping[str, Any] = DEFAULT_POLICY,
    ) -> Shares:
        """Exact shares of the payees.

        Args:
            rights: publisher of every source, or several with their exact parts, such as
                `{"daily": "planet", "recipes": {"kitchen": "1/3", "planet": "2/3"}}`. By default every source is
                a payee of its own.
            policy: how values become shares; the default clips totals at 0 and divides in proportion.

        Raises:
            RightsError: a source has no publisher, its parts do not sum to 1, or a part is a float.
            PolicyError: the policy cannot be used.
        """
        sources = CorpusSources(self.source_ids, {}, self.tokens)
        return divided(sources, self.values, rights, policy)

    def plot(self) -> "Axes":
        """A bar per source with its interval, next to its value by token counts alone."""
        rows = self.rows()
        total = float(np.clip(self.value_S, 0, None).sum())
        by_tokens = [total * count / sum(self.tokens) for count in self.tokens]
        low_S, high_S = self.interval()
        labels = ("nats", "value, 95% interval", "by token count")
        names = [str(row["source_id"]) for row in rows]
        return bars(names, self.value_S.tolist(), low_S.tolist(), high_S.tolist(), by_tokens, labels, self.title)
