"""Simulation jobs, and sketches of sources for grouping.

Legend: P parameters, K units of the job.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from tribute.cluster.plan import Job, SimulationsJob
from tribute.config import SimulationSettings
from tribute.files.sealed import intact, remove_sealed, write_sealed
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
    write_response,
)
from tribute.tasks import Scope
from tribute.training import Recipe, State
from tribute_storage.file_names import file_stem

PROBE_EXAMPLES = 512
"""Training examples that measure a group's value, before the group is split."""

OnSteps = Callable[[int], None]
"""Called with the number of trajectory steps just computed."""


@dataclass(frozen=True)
class SimulateJob(SimulationsJob):
    """Simulate the responses of some units in one replicate.

    ``full``: of whole trainings, the file where the first job of a seed keeps the end of its unperturbed run, so
    that later ones need not run it.
    """

    replicate: int
    seed: int
    settings: SimulationSettings
    start_step: int
    steps: int
    recording: Path | None = None
    probe: bool = False
    full: Path | None = None

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
    """Sketch the gradients of some sources (indices in the training set) at the state of a replicate."""

    seed: int
    sources: tuple[int, ...]

    @property
    def size(self) -> int:
        """Sources."""
        return len(self.sources)


def simulate_chunk(
    recipe: Recipe, start: list[NDArray], final: NDArray, job: SimulateJob, on_steps: OnSteps
) -> list[dict[str, Any]]:
    """Simulate the job's units from the recorded state `start` and write their responses.

    A job whose rows and responses are on disk is not simulated again. A killed job resumes from its last
    checkpoint, to the same bits.

    Args:
        start: theta [P] and the optimizer's slots, each [P], before step `job.start_step`, at or before the
            start of the horizon.
        final: the recorded final parameters, [P]. A replay must end there; `continue` begins there.
    """
    if not job.finished():
        job.folder.mkdir(parents=True, exist_ok=True)
        theta_P, *slots = (torch.from_numpy(np.array(value)).to(recipe.device) for value in start)
        final_P = torch.from_numpy(np.array(final)).to(recipe.device)
        schedule = build_schedule(recipe, job.settings, final_P)
        change_KS = torch.from_numpy(change_matrix(job.units, len(recipe.data.source_ids)))
        full_P = _full(job, recipe.device)
        mode: Mode = build_mode(schedule, job.settings, change_KS)
        if full_P is not None:
            mode = Retrained(schedule, change_KS, full_P)
        if job.settings.base == "continue":
            begin, before = State(final_P, recipe.rule.optimizer.init(final_P)), 0
        else:
            begin, before = State(theta_P, tuple(slots)), job.start_step
        found = _run(recipe, mode, begin, before, job, on_steps)
        if job.full is not None and full_P is None:
            write_sealed(job.full, safetensors.torch.save({"theta": found.theta_P.cpu().contiguous()}))
        rows = _rows(recipe, found, final_P, schedule.effective_damping, job)
        write_sealed(job.rows_file, json.dumps(rows).encode())
        remove_sealed(job.stack_file)
    finished: list[dict[str, Any]] = json.loads(job.rows_file.read_text())
    return [
        row | {"artifact_uri": row["artifact_uri"] and str(job.folder / row["artifact_uri"])} for row in finished
    ]


def _full(job: SimulateJob, device: torch.device) -> torch.Tensor | None:
    """End of the seed's unperturbed run, [P], if an earlier job kept it; None: it is run along."""
    if intact(job.stack_file):
        begun = safetensors.torch.load_file(job.stack_file, device=str(device))
        return begun["base.theta"] if len(begun["moved.theta"]) == len(job.units) and job.full else None
    if job.full is None or not intact(job.full):
        return None
    return safetensors.torch.load_file(job.full, device=str(device))["theta"]


def _run(recipe: Recipe, mode: Mode, begin: State, before: int, job: SimulateJob, on_steps: OnSteps) -> Responses:
    """Simulate from the last checkpoint, or from the first step of the horizon."""
    every, last = job.settings.checkpoint_every, mode.schedule.steps.stop
    with job.steps_file.open("ab", buffering=0) as computed:

        def after(step: int, ensemble: Ensemble) -> None:
            computed.write(b".")
            on_steps(len(ensemble.failed) + (not isinstance(mode, Retrained)))
            if step % every == 0 and step < last:
                named = ensemble.tensors() | {"step": torch.tensor(step)}
                write_sealed(
                    job.stack_file,
                    safetensors.torch.save({k: t.cpu().clone().contiguous() for k, t in named.items()}),
                )

        if intact(job.stack_file):
            kept = safetensors.torch.load_file(job.stack_file, device=str(recipe.device))
            return simulate(mode, Ensemble.of(kept), int(kept["step"]), after)
        start = start_of(recipe, mode.schedule, begin, before)
        return simulate(mode, mode.begin(start), mode.schedule.steps.start, after)


def _rows(
    recipe: Recipe, found: Responses, final_P: torch.Tensor, damping: float | None, job: SimulateJob
) -> list[dict[str, Any]]:
    replayed = job.settings.base == "replay" and job.settings.weight == 1
    drift = float((found.theta_P - final_P).abs().max()) if replayed else None
    probes = _probe(recipe, final_P, found, job) if job.probe else [None] * len(job.units)
    rows = []
    for unit, response_P, failed, probe in zip(
        job.units, found.response_KP.cpu(), found.failed.tolist(), probes, strict=True
    ):
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
                "response_norm": None if failed >= 0 else float(response_P.double().norm()),
                "artifact_uri": None if failed >= 0 else path.name,
                "artifact_sha256": None if failed >= 0 else write_response(path, response_P),
            }
        )
    return rows


def _probe(recipe: Recipe, final_P: torch.Tensor, found: Responses, job: SimulateJob) -> list[float]:
    """Loss of a fixed sample of training examples without each unit, nats."""
    chosen = np.unique(np.linspace(0, len(recipe.data) - 1, PROBE_EXAMPLES, dtype=np.int64))
    batch, _ = recipe.data.batch(chosen, recipe.device)
    scope = Scope(recipe.task, job.settings.scope)
    task, theta_P = scope.task_at(final_P), scope.of(final_P)
    with torch.no_grad():
        whole = task.measure(theta_P, batch).double().sum()
        return [float(whole - task.measure(theta_P - r_P, batch).double().sum()) for r_P in found.response_KP]


def sketch_chunk(recipe: Recipe, theta: NDArray, job: SketchJob) -> NDArray[np.float64]:
    """The sketches of the job's sources at theta, [P]."""
    return sketches(recipe, torch.from_numpy(np.array(theta)).to(recipe.device), job.sources, job.seed)
