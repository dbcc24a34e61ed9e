"""Attributes live queries by the project's read-out or estimator, and records them as usage in the lake.

Legend: P parameters, S sources, Q queries, R replicates.
"""

import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from tribute.catalog import (
    attribution,
    corpus_tokens,
    lineage,
    query_rows,
    recorded_replicates,
    simulated_responses,
)
from tribute.config import Project
from tribute.corpus import (
    Accounting,
    OutOfDistribution,
    QueryTable,
    array_queries,
    ood_detector,
    text_queries,
)
from tribute.errors import ConfigError, ValuationError
from tribute.ids import excerpt
from tribute.readout import QueryRows, ReadOut, influence_rows
from tribute.serving.reading import EstimatorReader, InfluenceReader, ResponseReader
from tribute.serving.schemas import AttributionAnswer, Query, QueryAttribution, SourceInfluence
from tribute.simulation import Design, design_of
from tribute_storage import Basis, Lake, LakeConflict, claim, open_tables

Value = TypeVar("Value")


class Influences(NamedTuple):
    """Influences of sources by replicate, [R, Q, S]; error of their mean from sampled coalitions, [Q, S]; nats.

    `measurement_Q`: what the first replicate's model itself measures, [Q] nats.
    """

    influence_RQS: NDArray[np.float64]
    error_QS: NDArray[np.float64]
    measurement_Q: NDArray[np.float64]

    @classmethod
    def of(cls, design: Design, read: Sequence[ReadOut]) -> "Influences":
        """Influences of units, added up to sources."""
        influence_RQU = np.stack([replicate.influence_QS.double().cpu().numpy() for replicate in read])
        influence_RQS = np.stack([design.influence(influence_QU) for influence_QU in influence_RQU])
        measured_Q = read[0].measurement_Q.double().cpu().numpy()
        return cls(influence_RQS, design.standard_error(influence_RQU.mean(0)), measured_Q)


class Attributor:
    """Reads queries out and records them. Holds models and responses in memory; independent of HTTP and Ray."""

    def __init__(self, project: Project) -> None:
        torch.set_num_threads(1)
        self._project, self._lake = project, Lake(project.lake_root)
        claim(self._lake, project.name)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        replicates = recorded_replicates(project)
        responses = simulated_responses(project, lineage(project).simulate_run)
        if not responses:
            raise ValuationError(
                "The lake holds no simulation of these settings. Run: tribute simulate PROJECT.yaml"
            )
        self.source_ids, tokens_S = corpus_tokens(project)
        self._design = design_of(
            project.simulation.notion,
            [response.unit for response in responses],
            tokens_S,
            [response.failed for response in responses],
        )
        reader = EstimatorReader if project.simulation.estimated else ResponseReader
        self._reading: InfluenceReader = reader(project, replicates, responses, device)
        self._ood_detector = ood_detector(project.artifacts / lineage(project).corpus_run)
        self._record_lock, self._read_lock = threading.Lock(), threading.Lock()

    def attribute(self, requested: Sequence[Query]) -> AttributionAnswer:
        """Read queries out for every source, and record them as usage of their months.

        Raises:
            ConfigError: too many queries; or one does not fit the model, or repeats a recorded id with
                other content.
        """
        if len(requested) > self._project.serving.max_queries:
            raise ConfigError(
                f"A request takes at most {self._project.serving.max_queries} queries, this one has "
                f"{len(requested)}. Split it"
            )
        months: dict[str, list[Query]] = {}
        for query in requested:
            dated = query.model_copy(update={"time": query.time or datetime.now(UTC)})
            months.setdefault(dated.time.astimezone(UTC).strftime("%Y-%m"), []).append(dated)  # type: ignore[union-attr]
        answers: list[QueryAttribution] = []
        recorded = 0
        for period, queries in months.items():
            table = self._table(queries)
            distribution = self._ood_detector.assess(table)
            with self._read_lock:  # a read-out changes the module's parameters while it runs
                read = self._reading.read(QueryRows.of(table))
            influences = Influences.of(self._design, read)
            recorded += self._alone(partial(self._record, table, period, influences, distribution))
            answers += self._answers(table, period, influences, distribution)
        return AttributionAnswer(
            simulate_run=lineage(self._project).simulate_run, recorded=recorded, queries=answers
        )

    def _table(self, queries: Sequence[Query]) -> QueryTable:
        ids = [query.query_id or uuid.uuid4().hex for query in queries]
        accounting = Accounting(
            [query.time for query in queries],
            [query.customer_id for query in queries],
            [query.weight for query in queries],
        )
        window = getattr(self._project.corpus, "window", None)
        named = list(zip(queries, ids, strict=True))
        if window is not None:
            return text_queries(ids, [_given(q.text, "text", i) for q, i in named], window, accounting)
        features = [_given(q.features, "features", i) for q, i in named]
        return array_queries(ids, features, [_given(q.label, "label", i) for q, i in named], accounting)

    def _alone(self, record: Callable[[], int]) -> int:
        """The result of `record`, which begins anew where another service was faster."""
        while True:
            with self._record_lock, suppress(LakeConflict):
                return record()

    def _record(
        self,
        table: QueryTable,
        period: str,
        influences: Influences,
        distribution: OutOfDistribution,
    ) -> int:
        """Commit the queries that are not recorded yet; the number of these.

        Raises:
            LakeConflict: another service recorded one of them meanwhile.
        """
        ids = list(table.query_ids)
        basis = Basis(
            self._lake.version("queries"),
            lambda: (pc.field("origin") == "service") & pc.field("query_id").isin(ids),
        )
        fresh = _unrecorded(self._lake, lineage(self._project).simulate_run, table, period)
        if not fresh:
            return 0
        chosen = table.take(fresh)
        values_RQS = influences.influence_RQS[:, fresh]
        errors_RQS = np.broadcast_to(influences.error_QS[fresh], values_RQS.shape)
        run_id = attribution(self._project, chosen, period, "service").run_id
        rows = influence_rows(run_id, self.source_ids, chosen.query_ids, values_RQS, errors_RQS)
        self._lake.append("influence", run_id, rows)
        nats_Q = influences.measurement_Q[fresh]
        usage = query_rows(self._project, chosen, period, "service", nats_Q, distribution.take(fresh))
        self._lake.append("queries", run_id, usage, basis=basis)
        return len(fresh)

    def _answers(
        self,
        table: QueryTable,
        period: str,
        influences: Influences,
        distribution: OutOfDistribution,
    ) -> list[QueryAttribution]:
        influence_RQS = influences.influence_RQS
        counted = np.isfinite(influence_RQS).sum(0)
        mean_QS = np.nansum(influence_RQS, 0) / counted.clip(1)
        spread_QS = np.nansum(np.square(influence_RQS - mean_QS), 0) / (counted - 1).clip(1)
        error_QS = np.sqrt(spread_QS / counted.clip(1) + np.square(influences.error_QS))
        error_QS *= distribution.widening_Q[:, None]
        return [
            QueryAttribution(
                query_id=query_id,
                period=period,
                measurement_nats=float(influences.measurement_Q[index]),
                similarity=float(distribution.similarity_Q[index]),
                unlike_corpus=bool(distribution.is_ood_Q[index]),
                sources=[
                    SourceInfluence(
                        source_id=self.source_ids[source],
                        influence_nats=float(mean_QS[index, source]),
                        std_error_nats=float(error_QS[index, source]),
                    )
                    for source in np.argsort(-mean_QS[index], kind="stable")
                    if counted[index, source]
                ],
            )
            for index, query_id in enumerate(table.query_ids)
        ]


def _given(value: Value | None, name: str, query_id: str) -> Value:
    if value is None:
        raise ConfigError(f"Query {excerpt(query_id)} has no `{name}`, which this model needs")
    return value


def _unrecorded(lake: Lake, simulate_run: str, table: QueryTable, period: str) -> list[int]:
    """Indices of the queries that no service has recorded in their month."""
    with open_tables(lake.root, "queries") as connection:
        known = dict(
            connection.execute(
                "select query_id, content_sha256 from queries where simulate_run = $1 and period = $2 "
                "and origin = 'service' and list_contains($3, query_id)",
                [simulate_run, period, list(table.query_ids)],
            ).fetchall()
        )
    for query_id, digest in zip(table.query_ids, table.digests, strict=True):
        if known.get(query_id, digest) != digest:
            raise ConfigError(
                f"Query {excerpt(query_id)} was recorded before with other content. Give it a new id"
            )
    return [index for index, query_id in enumerate(table.query_ids) if query_id not in known]
