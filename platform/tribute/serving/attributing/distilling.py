"""The distilled read-out of live queries: a head, its draws, and a new head when there is more to learn from.

Legend: R replicates, U units, Q queries, d features, n exact read-outs.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.config import Project
from tribute.corpus import QueryTable
from tribute.readout import Head, draw, draw_probability
from tribute.readout.distilled import MAX_FITTED_QUERIES, PILOT_QUERIES
from tribute.royalty.division import parse_policy
from tribute.serving.attributing.loaded import LoadedModel
from tribute.serving.attributing.requested import month_of
from tribute.serving.heads import Heads

Array = NDArray[np.float64]
Counted = Callable[[str], Awaitable[float]]
COUNTED_AGAIN_S = 5.0
TIMED_QUERIES = 16
CHEAPER = 1.5
"""With `readout.method: auto`, a head is used where an exact read-out takes this many times as long."""


class Distiller:
    """Holds the head in use. It changes only between requests, so it is fixed before every draw.

    There is none until `PILOT_QUERIES` live uses are known exactly. Queries of the corpus would not do: a head
    that was fitted to them missed live uses by up to 30 of its own standard errors.

    Args:
        counted: the sum of the uses of a month that are recorded.
    """

    def __init__(self, project: Project, model: LoadedModel, precision: float, counted: Counted) -> None:
        self._model, self._precision, self._counted = model, precision, counted
        self._heads, self._lock = Heads(project), threading.Lock()
        self._before = dict[str, tuple[float, float]]()
        self._features, self._influences = list[Array](), list[Array]()
        self._learnt = dict[str, None]()
        self._known, self._due = 0, PILOT_QUERIES
        self._head, self._looked = self._heads.current(), time.monotonic()

    async def head(self) -> Head | None:
        """The head in use, which another replica may have fitted; None: there is none yet."""
        if time.monotonic() - self._looked > COUNTED_AGAIN_S:
            self._looked = time.monotonic()
            self._head = await asyncio.to_thread(self._heads.current)
        return self._head

    async def draw(self, head: Head, table: QueryTable, record: bool) -> tuple[Array, NDArray[np.bool_]]:
        """Probabilities of an exact read-out, fixed before the draw, and which queries are drawn, [Q] each.

        Args:
            head: that predicted them.
            record: whether they are uses; else the probabilities are those that they would have.
        """
        months = np.array([month_of(moment) for moment in table.times if moment is not None])
        uses_Q = table.weights / table.inclusion
        probability_Q = np.ones(len(uses_Q))
        for month in dict.fromkeys(months.tolist()):
            chosen_Q = months == month
            before = await self._uses_before(month)
            probability_Q[chosen_Q] = draw_probability(head.needed, uses_Q[chosen_Q], before)
            if record:
                self._before[month] = (self._before[month][0], before + float(uses_Q[chosen_Q].sum()))
        return probability_Q, draw(probability_Q)

    def learn(self, queries: QueryTable, influence_RQU: Array) -> None:
        """Remember exact read-outs of live queries; fit a new head when they have doubled. Threads take turns.

        An id counts once: copies of one query would look as if a head knew it well.
        """
        chosen = self._unlearnt(queries.query_ids)
        if not chosen:
            return
        features = self._model.features(queries.take(chosen))
        with self._lock:
            self._features.append(features)
            self._influences.append(influence_RQU[:, chosen])
            self._known += len(chosen)
            due = self._is_due()
            if not due and sum(map(len, self._features)) < 2 * MAX_FITTED_QUERIES:
                return
            kept = slice(-MAX_FITTED_QUERIES, None)
            feature_nd = np.concatenate(self._features)[kept]
            influence_RnU = np.concatenate(self._influences, axis=1)[:, kept]
            self._features, self._influences = [feature_nd], [influence_RnU]
            if due:
                head = Head.fit(feature_nd, influence_RnU, self._model.design, self._precision)
                self._heads.adopt(head)  # on disk before a use can name it
                self._head, self._due = head, 2 * self._known

    def _unlearnt(self, query_ids: Sequence[str]) -> list[int]:
        """Places of the queries that are new here; from now on they are known."""
        with self._lock:
            places = {name: place for place, name in enumerate(query_ids) if name not in self._learnt}
            self._learnt |= dict.fromkeys(places)
            while len(self._learnt) > 2 * MAX_FITTED_QUERIES:
                del self._learnt[next(iter(self._learnt))]
        return list(places.values())

    def _is_due(self) -> bool:
        """Whether enough is known for a new head: no less than the one in use was fitted to, here or elsewhere."""
        if self._known < self._due:
            return False
        current = self._heads.current()
        self._due = max(self._due, current.fitted if current else 0)
        return self._known >= self._due

    async def _uses_before(self, month: str) -> float:
        """The month's uses so far: as recorded a moment ago, and what came here since.

        What came and was not recorded counts for that moment only: too many uses would make draws too rare. Uses
        on their way to an outbox may be missing, which makes them more frequent.
        """
        asked, uses = self._before.get(month, (-np.inf, 0.0))
        if time.monotonic() - asked <= COUNTED_AGAIN_S:
            return uses
        uses = await self._counted(month)
        if self._before.get(month, (-np.inf, 0.0))[0] == asked:  # no other request has heard meanwhile
            self._before[month] = (time.monotonic(), uses)
        return self._before[month][1]


def distils(project: Project, model: LoadedModel) -> float | None:
    """The precision of the distilled read-out, where live queries are predicted by a head; None: all are exact.

    A policy that caps customers or follows them needs every query read out, and an estimator has a read-out of its
    own.
    """
    settings = project.readout
    if settings.precision is None or settings.method not in ("auto", "distilled") or project.simulation.estimated:
        return None
    policy = parse_policy(project.policy)
    if policy.customer_cap is not None or "user_centric" in policy.weights:
        return None
    if settings.method == "auto":
        exact, predicted = model.costs(TIMED_QUERIES)
        if exact < CHEAPER * predicted:
            return None
    return settings.precision
