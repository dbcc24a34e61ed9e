"""Reads live queries out of simulated responses, or of an estimator's files.

Legend: P parameters, p of the scope, R replicates, U units, N rows, T positions of a row.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from tribute.catalog import lineage
from tribute.config import Project
from tribute.estimators import Gathered, Trained
from tribute.readout import PreparedReadOut, QueryRows, ReadOut, candidates, stored_responses
from tribute.simulation import Replicate, Simulated
from tribute.tasks import Scope
from tribute.training import Recipe, build_model, snapshot_training_set


class InfluenceReader(Protocol):
    """Reads out the influences of all units on some queries."""

    def read(self, queries: QueryRows) -> list[ReadOut]:
        """One read-out per replicate."""
        ...


class ResponseReader:
    """Reads out of simulated responses, in memory if they take at most `readout.memory_gib`."""

    def __init__(
        self,
        project: Project,
        replicates: Sequence[Replicate],
        responses: Sequence[Simulated],
        device: torch.device,
    ) -> None:
        scope = Scope(build_model(project.task, project.training), project.simulation.scope)
        thetas = [replicate.final().to(device) for replicate in replicates]
        share_gib = project.readout.memory_gib / len(replicates)
        by_replicate = [
            stored_responses(scope, [unit.files[r] for unit in responses], device, share_gib)
            for r in range(len(replicates))
        ]
        [method, *_] = candidates(project.readout, project.simulation, scope.complete)
        self._prepared = PreparedReadOut(method, scope, thetas, by_replicate, project.readout.memory_gib)

    def read(self, queries: QueryRows) -> list[ReadOut]:
        """Read out by the method of the settings."""
        return self._prepared.read(queries)

    def read_tokens(self, queries: QueryRows) -> Tensor:
        """Influences on each position of each row, [N, T, U] nats: means over the replicates that did not fail.

        Raises:
            ConfigError: the task has no `token_measurement`.
        """
        return self._prepared.read_tokens(queries)


class EstimatorReader:
    """Reads out of an estimator's files, and of the training set, which some estimators compare queries with."""

    def __init__(
        self,
        project: Project,
        replicates: Sequence[Replicate],
        responses: Sequence[Simulated],
        device: torch.device,
    ) -> None:
        data = snapshot_training_set(project.artifacts / lineage(project).corpus_run)
        recordings = project.training.recordings or (None,) * len(replicates)
        self._parts = list[list[Gathered]]()
        for replicate, recording in zip(replicates, recordings, strict=True):
            replicate.verify()
            recipe = Recipe(project.task, project.training, data, replicate.seed, device, recording)
            trained = Trained(recipe, replicate.trajectory, replicate.steps)
            files = [file for unit in responses if (file := unit.files[replicate.index])]
            distinct = dict.fromkeys((file.path, file.sha256) for file in files)
            self._parts.append([Gathered.load(project.simulation, trained, *each) for each in distinct])

    def read(self, queries: QueryRows) -> list[ReadOut]:
        """Read out by the estimator."""
        replicates = []
        for parts in self._parts:
            read = [part.read(queries) for part in parts]
            influence_QU = torch.cat([piece.influence_QS for piece in read], 1)
            replicates.append(ReadOut(influence_QU, read[0].measurement_Q))
        return replicates
