"""Simulation jobs, and sketches of sources for grouping.

Legend: K units of the job.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import Job, SimulationsJob
from tribute.config import SimulationSettings
from tribute.files.sealed import intact, remove_sealed, write_sealed
from tribute.files.tensors import read_tensors, tensor_content
from tribute.simulation import (
    Ensemble,
    Mode,
    Responses,
    Retrained,
    build_mode,
    build_schedule,
    change_matrix,
    simulate,
    sketches,
    start_of,
    unperturbed,
    write_response,
)
from tribute.tasks import Parameters, Scope, combined, square
from tribute.training import Recipe, State, Trajectory
from tribute_storage.file_names import file_stem

PROBE_EXAMPLES = 512
"""Training examples that measure a group's value, before the group is split."""

OnSteps = Callable[[int], None]
"""Called with the number of trajectory steps just computed."""


@dataclass(frozen=True)
class SimulateJob(SimulationsJob):
    """Simulate the responses of some units in one replicate.

    ``trajectory`` holds the recorded states, the last of them before ``end_step``; the job begins at that before
    ``start_step``. ``full``: the file where the first job of a seed keeps the end of its unperturbed run, so that
    later ones need not run it. ``alone``: that run is not part of an ensemble, but runs before it.
    """

    replicate: int
    seed: int
    settings: SimulationSettings
    trajectory: Trajectory
    start_step: int
    end_step: int
    steps: int
    recording: Path | None = None
    probe: bool = False
    full: Path | None = None
    alone: bool = False

    @property
    def cost(self) -> float:
        """Steps of trajectories."""
        return (1 + len(self.units)) * self.steps

    @property
    def stack_file(self) -> Path:
        """The checkpoint: the state of all trajectories before a step, and that step."""
        return self.folder / f"{self.name}.stack.safetensors"

    @property
    def steps_file(self) -> Path:
        """One byte per computed step, including steps that were lost."""
        return self.folder / f"{self.name}.steps"

    def progress(self) -> float:
        """Computed steps over all steps; 1 once the rows are written."""
        if self.rows_file.exists():
            return 1.0
        computed = self.steps_file.stat().st_size if self.steps_file.exists() else 0
        return min(computed / max(self.steps, 1), 0.99)

    def finished(self) -> bool:
        """Whether the rows are on disk, and every response that they name."""
        if not intact(self.rows_file):
            return False
        named = [row["artifact_uri"] for row in json.loads(self.rows_file.read_text())]
        return all((self.folder / name).is_file() for name in named if name)

    def kept(self) -> float:
        """Time of the last checkpoint, s."""
        return self.stack_file.stat().st_mtime if self.stack_file.exists() else 0.0


@dataclass(frozen=True)
class SketchJob(Job):
    """Sketch the gradients of some sources (indices in the training set) at a recorded state of a replicate."""

    seed: int
    trajectory: Trajectory
    step: int
    sources: tuple[int, ...]

    @property
    def size(self) -> int:
        """Sources."""
        return len(self.sources)


def simulate_chunk(recipe: Recipe, job: SimulateJob, on_steps: OnSteps) -> list[dict[str, Any]]:
    """Simulate the job's units from a recorded state at or before the horizon, and write their responses.

    A replay must end in the recorded final parameters; `continue` begins there. A job whose rows and responses are
    on disk is not simulated again. A killed job resumes from its last checkpoint, to the same bits.

    Raises:
        DamagedFile: a recorded state is missing, or is not what was written.
    """
    if not job.finished():
        job.folder.mkdir(parents=True, exist_ok=True)
        final = job.trajectory.load(job.end_step, recipe.device).theta
        schedule = build_schedule(recipe, job.settings, final)
        change_KS = torch.from_numpy(change_matrix(job.units, len(recipe.data.source_ids)))
        if job.settings.base == "continue":
            begin, before = recipe.rule.begin(final), 0
        else:
            begin, before = job.trajectory.load(job.start_step, recipe.device), job.start_step
        full = _full(job, recipe.device)
        if job.alone and job.full is not None and full is None:
            full = unperturbed(schedule, start_of(recipe, schedule, begin, before))
            write_sealed(job.full, tensor_content(full))
        mode: Mode = build_mode(schedule, job.settings, change_KS)
        if full is not None:
            mode = Retrained(schedule, change_KS, full, job.settings.epsilon)
        found = _run(recipe, mode, begin, before, job, on_steps)
        if job.full is not None and full is None:
            write_sealed(job.full, tensor_content(found.theta))
        rows = _rows(recipe, found, final, schedule.effective_damping, job)
        write_sealed(job.rows_file, json.dumps(rows).encode())
        remove_sealed(job.stack_file)
    finished: list[dict[str, Any]] = json.loads(job.rows_file.read_text())
    return [
        row | {"artifact_uri": row["artifact_uri"] and str(job.folder / row["artifact_uri"])} for row in finished
    ]


def _full(job: SimulateJob, device: torch.device) -> Parameters | None:
    """End of the seed's unperturbed run, if an earlier job kept it; None: it is run along."""
    if intact(job.stack_file):
        begun = Ensemble.of(read_tensors(job.stack_file, device))
        trajectories = len(next(iter(begun.perturbed.theta.values())))
        return begun.base.theta if trajectories == len(job.units) and job.full else None
    return None if job.full is None or not intact(job.full) else read_tensors(job.full, device)


def _run(recipe: Recipe, mode: Mode, begin: State, before: int, job: SimulateJob, on_steps: OnSteps) -> Responses:
    """Simulate from the last checkpoint, or from the first step of the horizon."""
    every, last = job.settings.checkpoint_every, mode.schedule.steps.stop
    with job.steps_file.open("ab", buffering=0) as computed:

        def after(step: int, ensemble: Ensemble) -> None:
            computed.write(b".")
            on_steps(len(ensemble.failed) + (not isinstance(mode, Retrained)))
            if step % every == 0 and step < last:
                named = ensemble.tensors() | {"step": torch.tensor(step)}
                write_sealed(job.stack_file, tensor_content(named))

        if intact(job.stack_file):
            kept = read_tensors(job.stack_file, recipe.device)
            return simulate(mode, Ensemble.of(kept), int(kept["step"]), after)
        start = start_of(recipe, mode.schedule, begin, before)
        return simulate(mode, mode.begin(start), mode.schedule.steps.start, after)


def _rows(
    recipe: Recipe, found: Responses, final: Parameters, damping: float | None, job: SimulateJob
) -> list[dict[str, Any]]:
    replayed = job.settings.base == "replay" and job.settings.weight == 1
    apart = combined(lambda ours, theirs: (ours - theirs).abs().max(), found.theta, final)
    drift = float(max(apart.values())) if replayed else None
    probes = _probe(recipe, final, found, job) if job.probe else [None] * len(job.units)
    rows, precision = [], job.settings.response_precision
    for index, (unit, failed, probe) in enumerate(zip(job.units, found.failed.tolist(), probes, strict=True)):
        response = {name: rows_K[index] for name, rows_K in found.response.items()}
        path = job.folder / f"{file_stem(unit.unit_id)}.safetensors"
        rows.append(
            {
                "unit_id": unit.unit_id,
                "removed": [recipe.data.source_ids[source] for source in unit.removed],
                "source_id": recipe.data.source_ids[unit.removed[0]] if len(unit.removed) == 1 else None,
                "replicate": job.replicate,
                "device": recipe.device.type,
                "effective_damping": damping,
                "replay_drift": drift,
                "probe_nats": probe,
                "failed_step": failed if failed >= 0 else None,
                "response_norm": None if failed >= 0 else math.sqrt(float(square(response))),
                "artifact_uri": None if failed >= 0 else path.name,
                "artifact_sha256": None if failed >= 0 else write_response(path, response, precision),
            }
        )
    return rows


def _probe(recipe: Recipe, final: Parameters, found: Responses, job: SimulateJob) -> list[float]:
    """Loss of a fixed sample of training examples without each unit, nats."""
    chosen = np.unique(np.linspace(0, len(recipe.data) - 1, PROBE_EXAMPLES, dtype=np.int64))
    batch, _ = recipe.data.batch(chosen, recipe.device)
    scope = Scope(recipe.task, job.settings.scope)
    task, theta = scope.task, scope.part(final)
    with torch.no_grad():
        whole = task.measure_at(final, batch).double().sum()
        without = (
            combined(lambda at, rows, k=k: at - rows[k], theta, found.response) for k in range(len(job.units))
        )
        return [float(whole - task.measure_at({**final, **each}, batch).double().sum()) for each in without]


def sketch_chunk(recipe: Recipe, job: SketchJob) -> NDArray[np.float64]:
    """The sketches of the job's sources."""
    return sketches(recipe, job.trajectory.load(job.step, recipe.device).theta, job.sources, job.seed)
