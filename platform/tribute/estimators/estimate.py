"""An estimator on one replicate, from files to influences: what workers and the service call.

Legend: Q queries, U units, P parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tribute.config import SimulationSettings
from tribute.estimators.estimator import Estimator, Groups, Kept, Trained, groups_at_once
from tribute.estimators.files import notes_of, read_kept, sha256_of, write_kept
from tribute.estimators.gradients import measurements
from tribute.estimators.registry import build_estimator
from tribute.readout import QueryRows, ReadOut
from tribute.simulation import Unit

FITTED = "fitted.safetensors"


def fit_to(settings: SimulationSettings, trained: Trained, folder: Path) -> None:
    """Fit the estimator that `settings.mode` names, into the folder of the replicate.

    Raises:
        ConfigError: there is no such estimator, or it does not suit the task or its training.
    """
    kept = build_estimator(settings.mode, settings.options).fit(trained)
    write_kept(folder / FITTED, kept, {"estimator": settings.mode})


def fit_once(settings: SimulationSettings, trained: Trained, folder: Path) -> Kept:
    """What the estimator fitted into the folder of the replicate; fitted now if it is not there."""
    path = folder / FITTED
    if not path.exists():
        fit_to(settings, trained, folder)
    return read_kept(path, sha256_of(path), trained.device)


def gather_to(
    settings: SimulationSettings, trained: Trained, folder: Path, units: Sequence[Unit], path: Path
) -> str:
    """Gather units, whose sources are disjoint, into a file beside what was fitted; its SHA-256."""
    fitted_sha256 = sha256_of(folder / FITTED)
    fitted = read_kept(folder / FITTED, fitted_sha256, trained.device)
    unit_S = np.full(len(trained.data.source_ids), -1, dtype=np.int64)
    for index, unit in enumerate(units):
        unit_S[list(unit.removed)] = index
    groups = Groups(unit_S[trained.data.source_N], len(units))
    kept = build_estimator(settings.mode, settings.options).gather(trained, fitted, groups)
    return write_kept(path, kept, {"fitted": fitted_sha256})


@dataclass(frozen=True)
class Gathered:
    """An estimator with all that it kept of some units in one replicate."""

    estimator: Estimator
    trained: Trained
    fitted: Kept
    gathered: Kept

    @classmethod
    def load(cls, settings: SimulationSettings, trained: Trained, path: Path, sha256: str) -> "Gathered":
        """Read a file of `gather_to`.

        Raises:
            SimulationError: the file, or that of the fit, is not the one that was recorded.
        """
        gathered = read_kept(path, sha256, trained.device)
        fitted = read_kept(path.parent / FITTED, notes_of(path)["fitted"], trained.device)
        return cls(build_estimator(settings.mode, settings.options), trained, fitted, gathered)

    def read(self, queries: QueryRows) -> ReadOut:
        """Influences [Q, U] of the units, in the estimator's unit, and the model's measurements [Q], nats."""
        with torch.no_grad():
            influence_QU = self.estimator.influence(self.trained, self.fitted, self.gathered, queries)
        return ReadOut(influence_QU, measurements(self.trained.task, self.trained.theta_P, queries))


def largest_part(settings: SimulationSettings, trained: Trained) -> int:
    """How many units may be gathered at once, into one file.

    As many as `memory_gib` takes, and no more than `chunk` where each holds whole vectors of parameters; what
    is smaller is not cut further, since every file costs a query its own forward or backward passes.
    """
    estimator = build_estimator(settings.mode, settings.options)
    most = groups_at_once(estimator, trained, settings.memory_gib)
    return min(most, settings.chunk) if estimator.held(trained) >= trained.task.size else most
