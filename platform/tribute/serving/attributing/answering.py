"""From read-outs to the answers of a request, by source or by publisher.

Legend: R replicates, S sources, P publishers, Q queries, T tokens.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import payees
from tribute.config import Project
from tribute.corpus import QueryTable
from tribute.serving.attributing.answers import Estimated, influences, listed
from tribute.serving.attributing.loaded import LoadedModel
from tribute.serving.attributing.readings import QueriesRead
from tribute.serving.attributing.requested import month_of
from tribute.serving.attributing.tokens import by_piece, measured_positions
from tribute.serving.schemas import AttributionRequest, Query

PAYEES_KEPT_S, MOST_MONTHS = 60.0, 24
Array = NDArray[np.float64]


class _Payees(NamedTuple):
    """Publishers and their parts of the sources in a month, [S, P], and when they were read."""

    read: float
    names: tuple[str, ...]
    part_SP: Array


class AnswerColumns(NamedTuple):
    """What an answer has a column for: sources, or publishers with their parts of the sources."""

    names: Sequence[str]
    estimated: Estimated
    part_SP: Array | None = None


class Answerer:
    """Makes the answers of requests on one model."""

    def __init__(self, project: Project, model: LoadedModel) -> None:
        self._project, self._model = project, model
        self._payees = dict[str, _Payees]()

    async def columns(
        self, request: AttributionRequest, table: QueryTable, read: QueriesRead
    ) -> Mapping[str, AnswerColumns]:
        """What answers of each month have columns for.

        Raises:
            RightsError: nobody is known to have the rights to a source in a month.
        """
        return {month: await self._columns(request, month, read) for month in dict.fromkeys(_months(table))}

    def answers(
        self,
        request: AttributionRequest,
        table: QueryTable,
        read: QueriesRead,
        columns: Mapping[str, AnswerColumns],
        tokens: Sequence[Array] | None,
    ) -> list[dict[str, Any]]:
        """The member `queries` of an answer.

        Args:
            tokens: influences on each position of each query, [T, S] nats.
        """
        answers = []
        for index, month in enumerate(_months(table)):
            names, estimated, part_SP = columns[month]
            chosen, answer = listed(estimated, index, request.top_k), _facts(table, index, read)
            token_TS = None
            if tokens is not None:
                nats_TS = tokens[index] if part_SP is None else tokens[index] @ part_SP
                answer["tokens"], token_TS = self._pieces(request.queries[index], table, index, nats_TS)
            answers.append(answer | influences(estimated, index, chosen, names, f"{request.level}_id", token_TS))
        return answers

    def _pieces(
        self, query: Query, table: QueryTable, index: int, nats_TS: Array
    ) -> tuple[list[str] | None, Array | None]:
        """What a query's text is shown in, and influences on it, [C, S] nats; None: the model has no text."""
        if self._model.form is None:
            return None, None
        measured_T = measured_positions(table, index)
        return by_piece(self._model.form, query.prompt or "", query.text or "", measured_T, nats_TS)

    async def _columns(self, request: AttributionRequest, month: str, read: QueriesRead) -> AnswerColumns:
        widening_Q = read.distribution.widening_Q
        if request.level == "source":
            return AnswerColumns(
                self._model.source_ids, Estimated.of(read.influence_RQS, read.error_QS, widening_Q)
            )
        _, names, part_SP = await self._parts(month)
        return AnswerColumns(
            names, Estimated.of_parts(read.influence_RQS, read.error_QS, part_SP, widening_Q), part_SP
        )

    async def _parts(self, month: str) -> _Payees:
        """The publishers of a month; read again after a minute."""
        known = self._payees.pop(month, None)
        if known is None or time.monotonic() - known.read > PAYEES_KEPT_S:
            known = _Payees(time.monotonic(), *await asyncio.to_thread(payees, self._project, month))
        self._payees[month] = known
        while len(self._payees) > MOST_MONTHS:
            del self._payees[next(iter(self._payees))]
        return known


def _months(table: QueryTable) -> list[str]:
    return [month_of(moment) for moment in table.times if moment is not None]


def _facts(table: QueryTable, index: int, read: QueriesRead) -> dict[str, Any]:
    moment = table.times[index]
    assert moment is not None
    return {
        "query_id": table.query_ids[index],
        "period": month_of(moment),
        "readout": "exact" if read.head is None else "distilled",
        "readout_probability": float(read.probability_Q[index]),
        "measurement_nats": float(read.measured_Q[index]),
        "similarity": float(read.distribution.similarity_Q[index]),
        "unlike_corpus": bool(read.distribution.is_ood_Q[index]),
    }
