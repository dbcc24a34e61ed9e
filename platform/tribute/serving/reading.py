"""Reads live queries out of simulated responses, or of an estimator's files.

Legend: P parameters, R replicates, U units.
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from tribute.catalog import lineage
from tribute.config import Project
from tribute.estimators import Gathered, Trained
from tribute.readout import QueryRows, ReadOut, candidates, read_out
from tribute.simulation import Replicate, Simulated
from tribute.tasks import Scope
from tribute.training import Recipe, build_model, snapshot_training_set


class InfluenceReader(Protocol):
    """Reads out the influences of all units on some queries."""

    def read(self, queries: QueryRows) -> list[ReadOut]:
        """One read-out per replicate."""
        ...


class ResponseReader:
    """Reads out of simulated responses, all in memory."""

    def __init__(
        self,
        project: Project,
        replicates: Sequence[Replicate],
        responses: Sequence[Simulated],
        device: torch.device,
    ) -> None:
        self._scope = Scope(build_model(project.task, project.training), project.simulation.scope)
        self._memory_gib = project.readout.memory_gib
        self._thetas = [replicate.final().to(device) for replicate in replicates]
        failed_P = torch.full((self._scope.size,), torch.nan, device=device)
        self._responses = [
            torch.stack([failed_P if (file := unit.files[r]) is None else file.load(device) for unit in responses])
            for r in range(len(replicates))
        ]
        [self._method, *_] = candidates(project.readout, project.simulation, self._scope.whole)

    def read(self, queries: QueryRows) -> list[ReadOut]:
        """Read out by the method of the settings."""
        return read_out(self._method, self._scope, self._thetas, self._responses, queries, self._memory_gib)


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
