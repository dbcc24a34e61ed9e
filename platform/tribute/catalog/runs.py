"""Run ids: a stage's output is named after everything that determines it.

A run id is the stage's name and a hash of its settings, of the previous stage's run id, and of the model's frozen
parameters and buffers. The same settings find existing output, a changed setting renews exactly the later stages,
and every row of the lake leads back to the corpus.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from tribute.config import Project, SimulationSettings, TaskSettings, TrainingSettings
from tribute.errors import ConfigError

SPOT_CHUNK = 4
"""Spot sources retrained in one batch of trajectories."""


def run_id(stage: str, *determined_by: object) -> str:
    """`stage` and twelve hexadecimal digits of the SHA-256 of everything that determines its output."""
    content = json.dumps(determined_by, sort_keys=True, default=str)
    return f"{stage}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class SimulationRun:
    """A simulation of the project: the main one, which is paid by, or one that calibrates it.

    `folder` holds its responses. It is named after the run id; for retraining it is the training's bank of
    retrains, which all simulations of the training share.
    """

    name: str
    run_id: str
    settings: SimulationSettings
    folder: str


@dataclass(frozen=True)
class Lineage:
    """The runs that do not depend on a period."""

    corpus_run: str
    train_run: str
    simulate_run: str


def lineage(project: Project) -> Lineage:
    """Run ids of corpus, training and simulation."""
    corpus_run = run_id("corpus", project.corpus.fingerprint())
    adopted = [_sha256(path) for path in _adopted_files(project)]
    frozen = _frozen_sha256(project.task.model_dump_json(), project.training.model_dump_json(), tuple(adopted))
    adopted += [frozen] if frozen else []
    train_run = run_id("train", corpus_run, project.task.fingerprint(), project.training.fingerprint(), *adopted)
    simulate_run = run_id("simulate", train_run, project.simulation.fingerprint())
    return Lineage(corpus_run, train_run, simulate_run)


def simulation_runs(project: Project) -> list[SimulationRun]:
    """The main simulation, the further estimates, and the real retraining without the spot sources."""
    runs, main, calibration = lineage(project), project.simulation, project.calibration
    found = [SimulationRun("simulated", runs.simulate_run, main, runs.simulate_run)]
    if not retrains_spots(project):
        return found
    for index, settings in enumerate(project.further_simulations()):
        further = settings.model_copy(update={"smoothness_sources": 0})
        further_run = run_id("simulate", runs.simulate_run, further.fingerprint())
        found.append(SimulationRun(f"estimate {index}", further_run, further, further_run))
    whole = whole_retraining(project).model_copy(update={"chunk": SPOT_CHUNK})
    bank = run_id("retrain", runs.train_run, whole.fingerprint())
    retrain_run = run_id(
        "retrain", runs.simulate_run, whole.fingerprint(), calibration.spot_sources, calibration.seed
    )
    return [*found, SimulationRun("retrained", retrain_run, whole, bank)]


def retrain_bank(project: Project) -> str:
    """The id of the bank of retrains: it depends on corpus, task and training, except for the seed.

    Raises:
        ConfigError: the training cannot be repeated under another seed.
    """
    training = project.training
    if training.checkpoint is not None or training.recordings:
        raise ConfigError(
            "Evaluation retrains the model under other seeds. A recorded training loop or a checkpoint cannot be "
            "retrained: let tribute train the model, with the settings under `training`"
        )
    alike = training.model_copy(update={"seed": 0, "replicates": 1}).fingerprint()
    corpus_run, precision = lineage(project).corpus_run, project.simulation.precision
    return run_id("retrains", corpus_run, project.task.fingerprint(), alike, precision)


def whole_retraining(project: Project) -> SimulationSettings:
    """The simulation that is real retraining: every step again without the source, nothing approximated."""
    return project.simulation.retraining()


def retrains_spots(project: Project) -> bool:
    """Whether spot sources are retrained without: not for semivalues, nor for a checkpoint."""
    return (
        project.calibration.spot_sources > 0
        and project.simulation.notion == "leave_one_out"
        and project.training.checkpoint is None
    )


@lru_cache(maxsize=16)
def _frozen_sha256(task: str, training: str, adopted: tuple[str, ...]) -> str:
    """SHA-256 of the model's frozen parameters and buffers; empty if there are none.

    Args:
        adopted: digests of the files that `training` names, so that a changed file is read again.
    """
    del adopted
    settings = TaskSettings.model_validate_json(task)
    if ":" not in settings.name:
        return ""  # built-in tasks train all that they hold
    build_model = import_module("tribute.training").build_model  # PyTorch is loaded for tasks of one's own only
    digest: str = build_model(settings, TrainingSettings.model_validate_json(training)).frozen_sha256
    return digest


def _adopted_files(project: Project) -> list[Path]:
    recorded = [
        folder / name for folder in project.training.recordings for name in ("recording.json", "steps.jsonl")
    ]
    return recorded + ([project.training.checkpoint] if project.training.checkpoint else [])


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}, which `training` names, cannot be read: {error.strerror}") from None
