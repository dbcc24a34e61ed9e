"""A valued model in memory: its parameters, responses and what a query is compared with.

Legend: R replicates, U units, S sources, Q queries, N rows.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.catalog import corpus_tokens, lineage, recorded_replicates, simulated_responses
from tribute.config import Project
from tribute.corpus import OutOfDistributionDetector, ood_detector
from tribute.corpus.sources import Columns
from tribute.errors import ConfigError, ValuationError
from tribute.ids import excerpt
from tribute.readout import QueryRows
from tribute.serving.reading import EstimatorReader, InfluenceReader, ResponseReader
from tribute.simulation import Design, design_of
from tribute.training import snapshot_training_set


class Work(NamedTuple):
    """Rows of one query to read out."""

    columns: Columns

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


class PieceRead(NamedTuple):
    """Sums over the rows of a piece: influences [R, U] and measurement, nats; similarity to the training data."""

    influence_RU: NDArray[np.float64]
    measurement_nats: float
    similarity: float


class LoadedModel:
    """Reads out batches of rows. One thread at a time; it holds all that does not depend on the queries.

    Raises:
        ValuationError: the lake holds no simulation of the project's settings.
    """

    def __init__(self, project: Project) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_num_threads(1)
        self.simulate_run = lineage(project).simulate_run
        replicates, responses = recorded_replicates(project), simulated_responses(project, self.simulate_run)
        if not responses:
            raise ValuationError(
                "The lake holds no simulation of these settings. Run: tribute simulate PROJECT.yaml"
            )
        self.replicates = len(replicates)
        self.source_ids, tokens_S = corpus_tokens(project)
        units, failed = [each.unit for each in responses], [each.failed for each in responses]
        self.design: Design = design_of(project.simulation.notion, units, tokens_S, failed)
        reader = EstimatorReader if project.simulation.estimated else ResponseReader
        self._reader: InfluenceReader = reader(project, replicates, responses, device)
        folder = project.artifacts / lineage(project).corpus_run
        self.ood: OutOfDistributionDetector = ood_detector(folder)
        trained = snapshot_training_set(folder).columns
        self._known_labels = set(np.unique(trained["labels"]).tolist()) if "labels" in trained else set[int]()
        self.features = trained["features"].shape[1:] if "features" in trained else None
        self.window = getattr(project.corpus, "window", None)
        self._example = {name: values[:1] for name, values in trained.items()}

    def check(self, query_id: str, features: list[float] | None, label: int | None) -> None:
        """Check that a feature vector and its label fit the model.

        Raises:
            ConfigError: they do not; says what was expected.
        """
        width = int(np.prod(self.features or ()))
        if features is not None and len(features) != width:
            raise ConfigError(
                f"Query {excerpt(query_id)} has {len(features)} features, expected {width} as in training"
            )
        if label is not None and label not in self._known_labels:
            known = sorted(self._known_labels)
            raise ConfigError(
                f"Query {excerpt(query_id)} has label {label}, which no training example has; labels go from "
                f"{known[0]} to {known[-1]}"
            )

    def read(self, works: list[Work]) -> list[PieceRead]:
        """Read out the rows of some pieces, together."""
        names = works[0].columns.keys()
        columns = {name: np.concatenate([work.columns[name] for work in works]) for name in names}
        piece_N = np.repeat(np.arange(len(works)), [work.rows for work in works])
        rows = QueryRows(tuple(map(str, range(len(works)))), columns, piece_N)
        replicates = self._reader.read(rows)
        influence_RQU = np.stack([each.influence_QS.double().cpu().numpy() for each in replicates])
        measured_Q = replicates[0].measurement_Q.double().cpu().numpy()
        similarity_Q = np.bincount(piece_N, self.ood.similarity(columns), minlength=len(works))
        return [
            PieceRead(influence_RQU[:, index], float(measured_Q[index]), float(similarity_Q[index]))
            for index in range(len(works))
        ]

    def warm_up(self) -> None:
        """Read out one training row, so that the first query finds everything compiled and in memory."""
        self.read([Work(self._example)])
