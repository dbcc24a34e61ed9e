"""The trainings, simulations and read-outs of a study, cut into the same jobs as those of a project.

Legend: P parameters, R replicates, Q queries, U units, S sources.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tribute.cluster import EstimateJob, InfluenceJob, ReadOutJob, SimulateJob, TrainJob, chunks
from tribute.cluster.estimate import estimate_units, influence_of_units, named
from tribute.cluster.plan import Job
from tribute.cluster.readout import joined_pieces, read_out_chunk, read_out_jobs
from tribute.cluster.simulate import simulate_chunk
from tribute.cluster.train import train_replicate
from tribute.config import ReadoutSettings, SimulationSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.estimators import Trained, largest_part
from tribute.progress import LateLines
from tribute.readout import QueryRows, candidates
from tribute.simulation import Replicate, ResponseFile, Simulated, Unit, fit
from tribute.study.workers import Workers
from tribute.tasks import Scope
from tribute.training import Recipe, Trajectory

FULL_FILE = "full.safetensors"
"""Of a seed, in the folder of a simulation: the end of its unperturbed run."""


def digest(*content: object) -> str:
    """Twelve hexadecimal digits of the SHA-256 of what determines a result."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Runs:
    """Runs the work of a study and keeps the results in its folder. Finished work is not repeated.

    `recipe` is that of the first replicate; the others differ from it in their seeds and recordings.
    """

    recipe: Recipe
    folder: Path
    workers: Workers
    reporter: LateLines = field(default_factory=LateLines)

    def train(self, seeds: Sequence[int], further: SimulationSettings | None = None) -> list[dict[str, Any]]:
        """Train, or take over, a replicate per seed; the row of each, as in the table `trajectories`.

        Args:
            further: how to train a checkpoint further; the rows then say no more than where it ended.
        """
        folder = self.folder / (f"further-{further.fingerprint()[:12]}" if further else "trained")
        jobs = [
            TrainJob(index, seed, folder / f"seed-{seed}", self._recording(index), further)
            for index, seed in enumerate(seeds)
        ]
        with self.reporter.telling("train"):
            return self._run("trainings", _train, [self.recipe], jobs)

    def simulate(
        self, replicates: Sequence[Replicate], settings: SimulationSettings, units: Sequence[Unit]
    ) -> list[Simulated]:
        """The responses of units in every replicate, sorted by unit id."""
        require_steps(self.recipe.training, settings)
        folder = simulated_in(self.folder, settings)
        jobs: list[SimulateJob | EstimateJob]
        if settings.estimated:
            fits = [self._fit(replicate, settings, folder) for replicate in replicates]
            self._run("fits", _estimate, [self.recipe], fits)
            jobs = [
                self._fit(replicate, settings, folder, part)
                for replicate, part in product(replicates, self._parts(replicates[0], settings, units))
            ]
            rows = self._run("units", _estimate, [self.recipe], jobs)
        else:
            fitting = fit(self.recipe, settings)
            cut = chunks(len(units), fitting.chunk)
            parts = [tuple(units[unit] for unit in part) for part in cut]
            jobs = [
                self._simulation(replicate, settings, folder, part, alone=fitting.alone)
                for replicate, part in product(replicates, parts)
            ]
            rows = self._run("simulations", _simulate, [self.recipe, tuple(replicates)], jobs)
        return _simulated(units, [(job.units, found) for job, found in zip(jobs, rows, strict=True)])

    def influence(
        self,
        replicates: Sequence[Replicate],
        settings: SimulationSettings,
        found: Sequence[Simulated],
        rows: QueryRows,
        readout: ReadoutSettings,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Influence of units [R, Q, U] and the first model's measurements [Q], nats; NaN: it failed."""
        if settings.estimated:
            return self._estimated(replicates, settings, found, rows)
        complete = Scope(self.recipe.task, settings.scope).complete
        [method, *_] = candidates(readout, settings, complete)
        thetas: list[Tensor] = [replicate.final() for replicate in replicates]
        units = [(each.unit.unit_id, each.files) for each in found]
        jobs = read_out_jobs(method, settings.scope, units, len(rows.query_ids), narrow=not complete)
        given = [self.recipe, readout.memory_gib, thetas, rows]
        pieces = self._run("read-outs", _read_out, given, [job for part in jobs for job in part])
        measured_Q = np.concatenate([measured for _, measured in pieces[: len(jobs[0])]])
        return joined_pieces(jobs, [influence for influence, _ in pieces]), measured_Q

    def _estimated(
        self,
        replicates: Sequence[Replicate],
        settings: SimulationSettings,
        found: Sequence[Simulated],
        rows: QueryRows,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        jobs = []
        for replicate in replicates:
            files = [file for each in found if (file := each.files[replicate.index])]
            counts = {(file.path, file.sha256): 0 for file in files}
            for file in files:
                counts[file.path, file.sha256] += 1
            recording = self._recording(replicate.index)
            jobs += [
                InfluenceJob(replicate, settings, path, sha256, count, recording)
                for (path, sha256), count in counts.items()
            ]
        pieces = self._run("read-outs", _influence, [self.recipe, rows], jobs)
        of_replicate = [
            np.concatenate(
                [nats for job, (nats, _) in zip(jobs, pieces, strict=True) if job.replicate is one], axis=1
            )
            for one in replicates
        ]
        return np.stack(of_replicate), pieces[0][1]

    def _simulation(
        self,
        replicate: Replicate,
        settings: SimulationSettings,
        folder: Path,
        units: tuple[Unit, ...],
        *,
        alone: bool,
    ) -> SimulateJob:
        recipe = replace(self.recipe, seed=replicate.seed, recording=self._recording(replicate.index))
        further = settings.base == "continue"
        first = 0 if further else recipe.horizon_start(settings.horizon)
        return SimulateJob(
            f"chunk-{_units_digest(units)}",
            units,
            folder / f"seed-{replicate.seed}",
            replicate.index,
            replicate.seed,
            settings,
            replicate.trajectory,
            replicate.trajectory.last_before(first),
            0 if recipe.training.checkpoint else replicate.steps,
            settings.steps if further else recipe.steps - first,
            recipe.recording,
            full=folder / f"seed-{replicate.seed}" / FULL_FILE if settings.whole or alone else None,
            alone=alone,
        )

    def _fit(
        self, replicate: Replicate, settings: SimulationSettings, folder: Path, units: tuple[Unit, ...] = ()
    ) -> EstimateJob:
        name = f"units-{_units_digest(units)}" if units else "fit"
        own = folder / f"seed-{replicate.seed}"
        return EstimateJob(name, units, own, replicate, settings, self._recording(replicate.index))

    def _parts(
        self, replicate: Replicate, settings: SimulationSettings, units: Sequence[Unit]
    ) -> list[tuple[Unit, ...]]:
        ranked = sorted(units, key=lambda unit: unit.unit_id)
        with named(settings.mode):
            size = largest_part(settings, Trained(self.recipe, replicate.trajectory, replicate.steps))
        return [tuple(ranked[u] for u in part) for part in chunks(len(ranked), size)]

    def _run(self, part: str, body: Callable[..., Any], shared: Sequence[Any], jobs: Sequence[Job]) -> list[Any]:
        self.reporter.working(part)
        return self.workers.run(body, shared, jobs, self.reporter.advanced)

    def _recording(self, index: int) -> Path | None:
        recordings = self.recipe.training.recordings
        return recordings[index] if recordings else None


def require_steps(training: TrainingSettings, settings: SimulationSettings) -> None:
    """Refuse to replay the training of a checkpoint; raises ConfigError."""
    if training.checkpoint is not None and not settings.estimated and settings.base != "continue":
        raise ConfigError(
            "A checkpoint has no recorded steps to replay, but simulation.base is replay. Set it to continue"
        )


def simulated_in(folder: Path, settings: SimulationSettings) -> Path:
    """The folder of a simulation, in that of a study."""
    return folder / f"simulated-{settings.fingerprint()[:12]}"


def replicate_of(row: dict[str, Any]) -> Replicate:
    """The recorded training that a row of `train` describes."""
    trajectory = Trajectory(Path(row["artifact_uri"]).parent)
    return Replicate(row["replicate"], row["seed"], row["steps"], trajectory, row["artifact_sha256"])


def _simulated(
    units: Sequence[Unit], done: Sequence[tuple[Sequence[Unit], Sequence[dict[str, Any]]]]
) -> list[Simulated]:
    files: dict[str, list[ResponseFile | None]] = {unit.unit_id: [] for unit in units}
    for part, rows in done:
        for unit, row in zip(part, rows, strict=True):
            uri, sha256 = row["artifact_uri"], row["artifact_sha256"]
            file = ResponseFile(unit.unit_id, row["replicate"], Path(uri), sha256) if uri else None
            files[unit.unit_id].append(file)
    ranked = sorted(units, key=lambda unit: unit.unit_id)
    return [Simulated(unit, tuple(files[unit.unit_id])) for unit in ranked]


def _units_digest(units: Sequence[Unit]) -> str:
    return digest([[unit.unit_id, *unit.removed] for unit in units])


def _train(recipe: Recipe, job: TrainJob) -> dict[str, Any]:
    return train_replicate(replace(recipe, seed=job.seed, recording=job.recording), job)


def _simulate(recipe: Recipe, replicates: Sequence[Replicate], job: SimulateJob) -> list[dict[str, Any]]:
    [replicate] = [each for each in replicates if each.index == job.replicate]
    replicate.verify()
    recipe = replace(recipe, seed=job.seed, recording=job.recording)
    return simulate_chunk(recipe, job, lambda _: None)


def _estimate(recipe: Recipe, job: EstimateJob) -> list[dict[str, Any]]:
    with named(job.settings.mode):
        return estimate_units(replace(recipe, seed=job.replicate.seed, recording=job.recording), job)


def _influence(
    recipe: Recipe, rows: QueryRows, job: InfluenceJob
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    with named(job.settings.mode):
        recipe = replace(recipe, seed=job.replicate.seed, recording=job.recording)
        return influence_of_units(recipe, rows, job)


def _read_out(
    recipe: Recipe, memory_gib: float, thetas: Sequence[Tensor], rows: QueryRows, job: ReadOutJob
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    arrays = [theta.numpy() for theta in thetas]
    return read_out_chunk(recipe.task, memory_gib, arrays, rows, job, recipe.device)
