"""Runs of an estimator on one replicate, from files to influences, for workers and the service.

Legend: Q queries, U units, S sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tribute.config import SimulationSettings
from tribute.estimators.estimator import Estimator, Groups, NamedTensors, Trained, groups_at_once
from tribute.estimators.files import notes_of, read_tensors, write_tensors
from tribute.estimators.gradients import measurements
from tribute.estimators.registry import build_estimator
from tribute.files.digests import file_sha256
from tribute.files.sealed import intact, require_sealed
from tribute.readout import QueryRows, ReadOut
from tribute.simulation import Unit

FITTED = "fitted.safetensors"


def fit_to(settings: SimulationSettings, trained: Trained, folder: Path) -> None:
    """Fit the estimator that `settings.mode` names, and write the result to the folder of the replicate.

    Raises:
        ConfigError: the estimator does not exist, or does not support the task or its training.
    """
    kept = build_estimator(settings.mode, settings.options).fit(trained)
    write_tensors(folder / FITTED, kept, {"estimator": settings.mode})


def fit_once(settings: SimulationSettings, trained: Trained, folder: Path) -> NamedTensors:
    """Read the fit from the folder of the replicate; fit first if the file does not exist."""
    if not intact(folder / FITTED):
        fit_to(settings, trained, folder)
    return _fitted(folder, trained)[0]


def gather_to(
    settings: SimulationSettings, trained: Trained, folder: Path, units: Sequence[Unit], path: Path
) -> str:
    """Gather units with disjoint sources into a file next to the fit; returns its SHA-256."""
    fitted, fitted_sha256 = _fitted(folder, trained)
    unit_S = np.full(len(trained.data.source_ids), -1, dtype=np.int64)
    for index, unit in enumerate(units):
        unit_S[list(unit.removed)] = index
    groups = Groups(unit_S[trained.data.source_N], len(units))
    kept = build_estimator(settings.mode, settings.options).gather(trained, fitted, groups)
    return write_tensors(path, kept, {"fitted": fitted_sha256})


def _fitted(folder: Path, trained: Trained) -> tuple[NamedTensors, str]:
    """The fit of a replicate, and the SHA-256 of its file."""
    path = folder / FITTED
    require_sealed(path)
    sha256 = file_sha256(path)
    return read_tensors(path, sha256, trained.device), sha256


@dataclass(frozen=True)
class Gathered:
    """An estimator with its fit and its tensors of some units in one replicate."""

    estimator: Estimator
    trained: Trained
    fitted: NamedTensors
    gathered: NamedTensors

    @classmethod
    def load(cls, settings: SimulationSettings, trained: Trained, path: Path, sha256: str) -> "Gathered":
        """Read a file written by `gather_to`, and the fit.

        Raises:
            DamagedFile: either file is missing, or its SHA-256 differs from the recorded one.
        """
        gathered = read_tensors(path, sha256, trained.device)
        fitted = read_tensors(path.parent / FITTED, notes_of(path)["fitted"], trained.device)
        return cls(build_estimator(settings.mode, settings.options), trained, fitted, gathered)

    def read(self, queries: QueryRows) -> ReadOut:
        """Influences [Q, U], in the unit of the estimator, and measurements of the model [Q], nats."""
        with torch.no_grad():
            influence_QU = self.estimator.influence(self.trained, self.fitted, self.gathered, queries)
        return ReadOut(influence_QU, measurements(self.trained.task, self.trained.theta_P, queries))


def largest_part(settings: SimulationSettings, trained: Trained) -> int:
    """Largest number of units to gather into one file.

    As many as fit into `memory_gib`; at most `chunk` if each unit holds a vector of all parameters. Smaller units
    are not split further, since every file costs each query its own forward or backward passes.
    """
    estimator = build_estimator(settings.mode, settings.options)
    most = groups_at_once(estimator, trained, settings.memory_gib)
    return min(most, settings.chunk) if estimator.numbers_per_group(trained) >= trained.task.size else most
