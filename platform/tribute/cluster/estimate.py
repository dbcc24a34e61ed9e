"""Jobs that fit an estimator, gather its units, and read queries out of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import Job, SimulationsJob
from tribute.config import SimulationSettings
from tribute.errors import SimulationError, TributeError
from tribute.estimators import FITTED, Gathered, Trained, fit_to, gather_to
from tribute.files.sealed import intact, write_sealed
from tribute.readout import QueryRows, clock, forward_seconds, seconds
from tribute.simulation import Replicate
from tribute.training import Recipe

TIMED_STEPS = 20
"""Training steps that are timed, after as many for warming up."""


@dataclass(frozen=True)
class EstimateJob(SimulationsJob):
    """Fit an estimator to a replicate in `folder`, and gather some units. Without units: only fit."""

    replicate: Replicate
    settings: SimulationSettings
    recording: Path | None = None

    @property
    def file(self) -> Path:
        """The gathered units."""
        return self.folder / f"{self.name}.safetensors"

    def finished(self) -> bool:
        """Whether the rows are on disk, and the file that they stand for."""
        return intact(self.rows_file) and (self.file if self.units else self.folder / FITTED).is_file()


@dataclass(frozen=True)
class InfluenceJob(Job):
    """An estimator's influence of the units of one gathered file on all queries."""

    replicate: Replicate
    settings: SimulationSettings
    file: Path
    sha256: str
    units: int
    recording: Path | None = None

    @property
    def size(self) -> int:
        """Units."""
        return self.units


@contextmanager
def named(estimator: str) -> Iterator[None]:
    """Name the estimator in any exception of its code.

    Raises:
        SimulationError: in place of an exception that is neither a TributeError nor the machine's.
    """
    try:
        yield
    except (TributeError, OSError, MemoryError):  # the last two are the machine's
        raise
    except Exception as error:
        raise SimulationError(
            f"Estimator {estimator} failed: {type(error).__name__}: {error}. Choose another one, or other options"
        ) from error


def estimate_units(recipe: Recipe, job: EstimateJob) -> list[dict[str, Any]]:
    """Fit, or gather the job's units; their rows of `simulations`. Finished work on disk is kept."""
    if not job.finished():
        job.folder.mkdir(parents=True, exist_ok=True)
        trained, began, rows = _trained(recipe, job), clock(), list[dict[str, Any]]()
        if job.units:
            sha256 = gather_to(job.settings, trained, job.folder, job.units, job.file)
            rows = [
                {
                    "unit_id": unit.unit_id,
                    "removed": [recipe.data.source_ids[source] for source in unit.removed],
                    "source_id": recipe.data.source_ids[unit.removed[0]] if len(unit.removed) == 1 else None,
                    "replicate": job.replicate.index,
                    "device": recipe.device.type,
                    "artifact_uri": job.file.name,
                    "artifact_sha256": sha256,
                }
                for unit in job.units
            ]
        else:
            fit_to(job.settings, trained, job.folder)
        done = {"seconds": clock() - began, "rows": rows}
        write_sealed(job.rows_file, json.dumps(done).encode())
    kept: list[dict[str, Any]] = json.loads(job.rows_file.read_text())["rows"]
    return [row | {"artifact_uri": str(job.folder / row["artifact_uri"])} for row in kept]


def influence_of_units(
    recipe: Recipe, queries: QueryRows, job: InfluenceJob
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Influence of the job's units on every query, [Q, U], and the model's measurements, [Q], nats."""
    read = _gathered(recipe, job).read(queries)
    return read.influence_QS.float().cpu().numpy(), read.measurement_Q.double().cpu().numpy()


def estimate_costs(recipe: Recipe, queries: QueryRows, few: QueryRows, job: InfluenceJob) -> dict[str, float]:
    """Cost of a query for the job's units, in forward passes, timed on a few; and a training's seconds."""
    gathered = _gathered(recipe, job)
    forward = forward_seconds(recipe.task, gathered.trained.theta_P, queries) / len(queries.query_ids)
    query = seconds(lambda: gathered.read(few)) / len(few.query_ids)
    return {"query_in_forwards": query / forward, "training_seconds": _training_seconds(recipe)}


def _training_seconds(recipe: Recipe) -> float:
    everything, steps = torch.ones(len(recipe.data.source_ids)), min(TIMED_STEPS, recipe.steps)

    def first_steps() -> object:
        return recipe.run(recipe.initial(), range(steps), everything)

    return seconds(first_steps) * recipe.steps / max(steps, 1)


def _trained(recipe: Recipe, job: EstimateJob | InfluenceJob) -> Trained:
    replicate = job.replicate
    replicate.verify()
    return Trained(recipe, replicate.trajectory, replicate.steps)


def _gathered(recipe: Recipe, job: InfluenceJob) -> Gathered:
    return Gathered.load(job.settings, _trained(recipe, job), job.file, job.sha256)
