"""The actor that owns a shard of the corpus and does the tensor work of the cluster.

A `SourceShard` reads the sources it owns and hands their examples to the object store, where the assembled
training set is held once per node. Every shard can then train a replicate, simulate a chunk of sources or read
out queries: methods are idempotent, keep what they finish in files, and so may be called again after a crash.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import ReadOutJob, SimulateJob, TrainJob
from tribute.cluster.readouts import read_out_chunk
from tribute.cluster.simulations import simulate_chunk
from tribute.cluster.trainings import train_replicate
from tribute.config import Project
from tribute.corpus import load_source
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet
from tribute_storage import Lake, StagedFile

Columns = dict[str, NDArray]


class SourceShard:
    """Owns some sources of a snapshot; computes on one thread, or on the GPU that Ray gave it.

    One thread, because results must not depend on how many cores a worker happens to have.
    """

    def __init__(self, project: Project, snapshot: Path, source_ids: list[str], on_gpu: bool) -> None:
        logging.getLogger().setLevel(logging.WARNING)
        torch.set_num_threads(1)
        self._project, self._snapshot, self._source_ids = project, snapshot, source_ids
        self._device = torch.device("cuda" if on_gpu else "cpu")

    def read(self) -> dict[str, Columns]:
        """Training examples of the sources it owns."""
        return {s: load_source(self._snapshot, s, "train") for s in self._source_ids}

    def train(self, data: TrainingSet, job: TrainJob) -> dict[str, Any]:
        """Train one replicate; the row of `trajectories` that describes it."""
        return train_replicate(self._recipe(data, job.seed), job)

    def simulate(
        self, data: TrainingSet, start: list[NDArray], final: NDArray, job: SimulateJob
    ) -> list[dict[str, Any]]:
        """Simulate a chunk of sources; their rows of `simulations`."""
        return simulate_chunk(self._recipe(data, job.seed), self._project.simulation, start, final, job)

    def read_out(
        self, thetas: list[NDArray], queries: QueryRows, job: ReadOutJob
    ) -> tuple[list[StagedFile], NDArray[np.float64]]:
        """Write the influence rows of a chunk of sources; the staged files and the model's measurements."""
        lake = Lake(self._project.lake_root)
        return read_out_chunk(self._project.task, lake, thetas, queries, job, self._device)

    def _recipe(self, data: TrainingSet, seed: int) -> Recipe:
        return Recipe(self._project.task, self._project.training, data, seed, self._device)


def assemble(*shards: dict[str, Columns]) -> TrainingSet:
    """The training set of all shards' sources."""
    return TrainingSet.assemble({source_id: columns for shard in shards for source_id, columns in shard.items()})
