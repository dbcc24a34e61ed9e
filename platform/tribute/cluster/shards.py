"""The Ray actor that owns a shard of the corpus and does the tensor work of the cluster.

A `SourceShard` checks the files of the sources it owns. Then every shard maps all of them, so that processes of a
machine share the memory, and can train a replicate, simulate a chunk of units or read out queries: no example
passes through the driver or the object store. The methods are idempotent and keep what they finish in files, so a
job can be repeated on any shard after a crash.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray.util.metrics import Counter, Histogram

from tribute.cluster.estimate import (
    EstimateJob,
    InfluenceJob,
    estimate_costs,
    estimate_units,
    influence_of_units,
    named,
)
from tribute.cluster.plan import Job
from tribute.cluster.process import prepare_process
from tribute.cluster.readout import (
    FeatureJob,
    PatchJob,
    ReadOutJob,
    WriteJob,
    patch_chunk,
    read_out_chunk,
    read_out_costs,
    sum_features,
    write_chunk,
)
from tribute.cluster.simulate import SimulateJob, SketchJob, simulate_chunk, sketch_chunk
from tribute.cluster.tokens import TokenInfluence, read_tokens_chunk, write_tokens_chunk
from tribute.cluster.train import TrainJob, train_replicate
from tribute.config import TaskSettings, TrainingSettings
from tribute.corpus import QueryTable
from tribute.corpus.snapshot import READ
from tribute.files.sealed import require_recorded
from tribute.readout import FeatureSums, QueryRows
from tribute.simulation import Design
from tribute.tasks import FlatTask, Frozen, build_task
from tribute.training import Recipe, TrainingSet, mapped_training_set
from tribute_storage import Lake, StagedFile


@dataclass(frozen=True)
class CheckJob(Job):
    """Compare the files of some sources with their SHA-256, if it is known."""

    files: Mapping[Path, str | None]


class Meters:
    """Prometheus metrics of one worker, through Ray's own exporter."""

    def __init__(self) -> None:
        self._steps = Counter("tribute_trajectory_steps", "steps of simulated trajectories")
        self._jobs = Histogram(
            "tribute_job_seconds", "time of finished jobs", [1, 10, 60, 600, 3600, 36000], tag_keys=("job",)
        )

    def steps(self, count: int) -> None:
        """Count steps of trajectories."""
        self._steps.inc(count)

    def finished(self, job: str, seconds: float) -> None:
        """Count a finished job and its time, in seconds."""
        self._jobs.observe(seconds, {"job": job})


@dataclass(frozen=True)
class ShardSettings:
    """The corpus snapshot, the model, its training, the lake, and the memory of a read-out, GiB.

    `frozen` holds the model's frozen parameters and buffers, so that all workers have those of the driver.
    """

    snapshot: Path
    task: TaskSettings
    frozen: Frozen
    training: TrainingSettings
    lake_root: str
    memory_gib: float


class SourceShard:
    """Owns some sources of a snapshot; computes on one thread, or on the GPU that Ray assigned."""

    def __init__(self, settings: ShardSettings, on_gpu: bool) -> None:
        prepare_process()
        self._settings = settings
        self._device = torch.device("cuda" if on_gpu else "cpu")
        self._meters = Meters()

    def pid(self) -> int:
        """The process id of the shard; answers as soon as the shard is up."""
        return os.getpid()

    def check(self, job: CheckJob) -> None:
        """Check the job's files.

        Raises:
            DamagedFile: one is missing, or is not what was written.
        """
        for path, sha256 in job.files.items():
            require_recorded(path, *filter(None, [sha256]), remedy=READ)

    def train(self, job: TrainJob) -> dict[str, Any]:
        """Train one replicate; the row of `trajectories` that describes it."""
        with self._timed("train"):
            return train_replicate(self._recipe(job.seed, job.recording), job)

    def simulate(self, job: SimulateJob) -> list[dict[str, Any]]:
        """Simulate a chunk of units; their rows of `simulations`."""
        with self._timed("simulate"):
            recipe = self._recipe(job.seed, job.recording)
            return simulate_chunk(recipe, job, self._meters.steps)

    def estimate(self, job: EstimateJob) -> list[dict[str, Any]]:
        """Fit an estimator, or gather a chunk of units; their rows of `simulations`."""
        with self._timed("simulate"), named(job.settings.mode):
            return estimate_units(self._recipe(job.replicate.seed, job.recording), job)

    def influence(self, queries: QueryRows, job: InfluenceJob) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """An estimator's influence of a chunk of units on all queries, and the model's measurements."""
        with self._timed("read_out"), named(job.settings.mode):
            return influence_of_units(self._recipe(job.replicate.seed, job.recording), queries, job)

    def estimate_costs(self, queries: QueryRows, few: QueryRows, job: InfluenceJob) -> dict[str, float]:
        """Cost of an estimator on this machine: a query in forward passes, and a training in seconds."""
        with named(job.settings.mode):
            return estimate_costs(self._recipe(job.replicate.seed, job.recording), queries, few, job)

    def sketch(self, job: SketchJob) -> NDArray[np.float64]:
        """Sketches of a chunk of sources, for grouping."""
        with self._timed("sketch"):
            return sketch_chunk(self._recipe(job.seed, None), job)

    def read_out(
        self, thetas: list[NDArray], queries: QueryRows, job: ReadOutJob
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Influence of a chunk of units on all queries, and the model's measurements."""
        with self._timed("read_out"):
            memory_gib = self._settings.memory_gib
            return read_out_chunk(self._task, memory_gib, thetas, queries, job, self._device)

    def read_tokens(self, thetas: list[NDArray], queries: QueryRows, job: ReadOutJob) -> NDArray[np.float32]:
        """Influence of a chunk of units on every position of all queries."""
        with self._timed("read_out"):
            return read_tokens_chunk(self._task, self._settings.memory_gib, thetas, queries, job, self._device)

    def write_tokens(
        self, read: TokenInfluence, design: Design, names: tuple[str, ...], job: WriteJob
    ) -> list[StagedFile]:
        """Stage the rows of a chunk of sources by token."""
        with self._timed("write"):
            return write_tokens_chunk(Lake(self._settings.lake_root), read, design, names, job)

    def costs(
        self, thetas: list[NDArray], queries: QueryRows, job: ReadOutJob, names: tuple[str, ...]
    ) -> dict[str, float]:
        """Cost of some read-out methods on this machine, in forward passes."""
        memory_gib = self._settings.memory_gib
        return read_out_costs(self._task, memory_gib, thetas, queries, job, names, self._device)

    def patch(self, queries: QueryRows, job: PatchJob) -> NDArray[np.float64]:
        """Gain of every query from a training step on each of some sources."""
        recipe = self._recipe(job.seed, job.recording)
        return patch_chunk(recipe, queries, job, self._settings.memory_gib)

    def features(
        self, theta: NDArray, queries: QueryTable, group_Q: NDArray[np.int64], groups: int, job: FeatureJob
    ) -> FeatureSums:
        """Features of some queries, summed by group, and their measurements."""
        with self._timed("features"):
            return sum_features(self._task, theta, queries, group_Q, groups, job, self._device)

    def write(
        self, queries: QueryRows, design: Design, influence: NDArray, names: tuple[str, ...], job: WriteJob
    ) -> list[StagedFile]:
        """Stage the influence rows of a chunk of sources."""
        with self._timed("write"):
            return write_chunk(Lake(self._settings.lake_root), queries, design, influence, names, job)

    def _recipe(self, seed: int, recording: Path | None) -> Recipe:
        settings = self._settings
        return Recipe(settings.task, settings.training, self._data, seed, self._device, recording, settings.frozen)

    @cached_property
    def _data(self) -> TrainingSet:
        return mapped_training_set(self._settings.snapshot)

    @cached_property
    def _task(self) -> FlatTask:
        return build_task(self._settings.task).with_frozen(self._settings.frozen)

    @contextmanager
    def _timed(self, job: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._meters.finished(job, time.monotonic() - began)
