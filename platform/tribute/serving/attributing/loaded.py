"""A valued model in memory: its parameters, responses and what a query is compared with.

Legend: R replicates, U units, S sources, Q queries, N rows, k coordinates of a head, T positions of a row.
"""

import threading
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tribute.catalog import corpus_tokens, lineage, pilot_queries, recorded_replicates, simulated_responses
from tribute.config import Project
from tribute.corpus import OutOfDistributionDetector, QueryTable, ood_detector, text_format
from tribute.corpus.sources import Columns
from tribute.errors import ConfigError, ValuationError
from tribute.ids import excerpt
from tribute.readout import Head, Passes, QueryRows, query_features, seconds
from tribute.serving.attributing.reading import EstimatorReader, ResponseReader
from tribute.serving.heads import served_design
from tribute.tasks import FlatTask
from tribute.tasks.contract.targets import heeds_targets
from tribute.training import build_model, snapshot_training_set

Kind = Literal["exact", "predicted", "tokens"]
Array = NDArray[np.float64]


class Work(NamedTuple):
    """Rows of one query, and what is read of them: influences, a head's coordinates, or influences on tokens.

    `head`: where coordinates are read.
    """

    columns: Columns
    kind: Kind = "exact"
    head: Head | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


class PieceRead(NamedTuple):
    """What was read of a piece, summed over its rows: measurement, nats, and similarity to the training data.

    `values`: influences [R, U] of an exact read-out, coordinates [k] of a predicted one, influences on each
    position [N, T, U] of one by tokens; nats.
    """

    values: NDArray
    measurement_nats: float
    similarity: float


class LoadedModel:
    """Reads out batches of rows; threads take turns. It holds all that does not depend on the queries.

    Raises:
        ValuationError: the lake holds no simulation of the project's settings.
    """

    _head: tuple[Head, Head] | None

    def __init__(self, project: Project) -> None:
        torch.set_num_threads(1)
        self._turn = threading.RLock()  # a pass collects what the modules of the model compute
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._project, self.simulate_run = project, lineage(project).simulate_run
        replicates, responses = recorded_replicates(project), simulated_responses(project, self.simulate_run)
        if not responses:
            raise ValuationError(
                "The lake holds no simulation of these settings. Run: tribute simulate PROJECT.yaml"
            )
        self.replicates = len(replicates)
        self.source_ids, tokens_S = corpus_tokens(project)
        self.design, self.units = served_design(project, responses, tokens_S), len(responses)
        reader = EstimatorReader if project.simulation.estimated else ResponseReader
        self._reader = reader(project, replicates, responses, device)
        task, theta_P = build_model(project.task, project.training), replicates[0].final().to(device)
        self._passes, self._head = Passes(task, theta_P), None
        folder = project.artifacts / lineage(project).corpus_run
        self.ood: OutOfDistributionDetector = ood_detector(folder)
        trained = snapshot_training_set(folder).columns
        self._labels = np.unique(np.asarray(trained["labels"])).tolist() if "labels" in trained else []
        self._width = int(np.prod(trained["features"].shape[1:])) if "features" in trained else 0
        self.form = text_format(project.corpus)
        self._example = {name: values[:1] for name, values in trained.items()}
        self.takes_prompts = self.form is not None and _heeds_targets(task, theta_P, self._example)

    def require_prompts(self, query_id: str) -> None:
        """Check that the task tells a prompt from the text that is measured.

        Raises:
            ConfigError: it does not.
        """
        if not self.takes_prompts:
            raise ConfigError(
                f"Query {excerpt(query_id)} has a prompt, but task {self._project.task.name} does not heed the "
                "column 'target', so the prompt would be measured too. Leave the prompt out, or let the task "
                "count a token only where batch['target'] is true"
            )

    def check(self, query_id: str, features: list[float], label: int) -> None:
        """Check that a feature vector and its label fit the model.

        Raises:
            ConfigError: they do not; says what was expected.
        """
        if len(features) != self._width:
            raise ConfigError(
                f"Query {excerpt(query_id)} has {len(features)} features, expected {self._width} as in training"
            )
        if label not in self._labels:
            raise ConfigError(
                f"Query {excerpt(query_id)} has label {label}, which no training example has; labels go from "
                f"{self._labels[0]} to {self._labels[-1]}"
            )

    def read(self, works: Sequence[Work]) -> list[PieceRead]:
        """Read out the rows of some pieces, together as far as they are of one kind."""
        found = list[PieceRead | None]([None] * len(works))
        kinds = dict.fromkeys(map(_kind, works))
        for kind in kinds:
            chosen = [i for i, work in enumerate(works) if _kind(work) == kind]
            with self._turn:
                pieces = self._of_kind([works[i] for i in chosen])
            for index, piece in zip(chosen, pieces, strict=True):
                found[index] = piece
        return [piece for piece in found if piece is not None]

    def costs(self, queries: int) -> tuple[float, float]:
        """Seconds of an exact read-out of some queries of the corpus, and of their features."""
        table = pilot_queries(self._project, queries)
        with self._turn:
            return seconds(lambda: self._influence(QueryRows.of(table))), seconds(lambda: self.features(table))

    def features(self, queries: QueryTable) -> Array:
        """Features of queries, to fit a head to, [Q, d]."""
        with self._turn:
            return query_features(self._passes, QueryRows.of(queries))

    def warm_up(self) -> None:
        """Read out one training row, so that the first query finds everything in memory."""
        self.read([Work(self._example)])

    def _of_kind(self, works: Sequence[Work]) -> list[PieceRead]:
        names = works[0].columns.keys()
        columns = {name: np.concatenate([work.columns[name] for work in works]) for name in names}
        piece_N = np.repeat(np.arange(len(works)), [work.rows for work in works])
        rows = QueryRows(tuple(map(str, range(len(works)))), columns, piece_N)
        similarity_Q = np.bincount(piece_N, weights=self.ood.similarity(columns), minlength=len(works))
        first = works[0]
        if first.kind == "tokens":
            values_NTU = self._tokens(rows)
            cut = np.cumsum([work.rows for work in works])[:-1]
            return [PieceRead(part, 0.0, 0.0) for part in np.split(values_NTU, cut)]
        if first.head is not None:
            values_Qk, measured_Q = self._placed(first.head).read(self._passes, rows)
            pairs: Sequence[NDArray] = list(values_Qk)
        else:
            influence_RQU, measured_Q = self._influence(rows)
            pairs = list(influence_RQU.transpose(1, 0, 2))
        return [
            PieceRead(values, float(nats), float(similarity))
            for values, nats, similarity in zip(pairs, measured_Q, similarity_Q, strict=True)
        ]

    def _placed(self, head: Head) -> Head:
        """A head where the model is. Requests name few heads, so the last one is kept there."""
        if self._head is None or self._head[0] is not head:
            self._head = head, head.to(self._passes.device)
        return self._head[1]

    def _influence(self, rows: QueryRows) -> tuple[Array, Array]:
        """Influences [R, Q, U] and measurements of the first replicate's model [Q], nats."""
        replicates = self._reader.read(rows)
        influence_RQU = np.stack([each.influence_QS.double().cpu().numpy() for each in replicates])
        return influence_RQU, replicates[0].measurement_Q.double().cpu().numpy()

    def _tokens(self, rows: QueryRows) -> Array:
        if not isinstance(self._reader, ResponseReader):
            raise ConfigError(
                f"attribution.method {self._project.simulation.mode} has no influences on tokens. Leave per_token "
                "out, or pay by a simulation"
            )
        return np.asarray(self._reader.read_tokens(rows).double().cpu().numpy())


def _kind(work: Work) -> tuple[object, ...]:
    """What the rows of one pass have in common: some queries have a prompt, and so another column."""
    return work.kind, work.head and work.head.head_id, *sorted(work.columns)


def _heeds_targets(task: FlatTask, theta_P: Tensor, rows: Columns) -> bool:
    """Whether a text model measures the tokens that the column `target` names, and no others."""
    batch = {name: torch.from_numpy(np.array(values)).to(theta_P.device) for name, values in rows.items()}
    target = batch["tokens"] >= 0
    target[:, 0] = False
    try:
        with torch.no_grad():
            return heeds_targets(lambda some: task.measure(theta_P, some), {**batch, "target": target})
    except Exception:  # a task that takes no column but its own
        return False
