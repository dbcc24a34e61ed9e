"""A training run on disk: its states at every tenth of the learning-rate mass.

A trajectory is complete once its last state exists. States are written atomically, so an interrupted training
resumes from the last one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import torch

from tribute.errors import DamagedFile, SimulationError
from tribute.files.digests import file_sha256
from tribute.files.sealed import ABSENT, MAKE, SUFFIX, Remedy, intact, require_sealed, sealed_by, write_sealed
from tribute.files.tensors import read_tensors, tensor_content
from tribute.tasks import Frozen
from tribute.training.recipe import CPU, OnStep, Recipe
from tribute.training.recording import FROZEN
from tribute.training.step import State

TENTHS = 10


def checkpoint_steps(recipe: Recipe) -> list[int]:
    """Steps at which the state is saved: the start of every tenth of the learning-rate mass, and the end."""
    return sorted({recipe.horizon_start(tenth / TENTHS) for tenth in range(1, TENTHS + 1)} | {recipe.steps})


@dataclass(frozen=True)
class Trajectory:
    """The saved states of one replicate."""

    folder: Path
    remedy: Remedy = MAKE
    """For a state that is missing or damaged."""

    def path(self, step: int) -> Path:
        """File of the state before `step`."""
        return self.folder / f"step-{step:08d}.safetensors"

    def steps(self) -> list[int]:
        """Steps of the saved states, ascending."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self.folder.glob("step-*.safetensors"))

    def whole(self, last: int) -> bool:
        """Whether the first and the last state are there, and every other one that was ever saved."""
        needed = {self.path(0), self.path(last), *map(sealed_by, self.folder.glob(f"step-*.safetensors{SUFFIX}"))}
        return all(path.is_file() for path in needed)

    def last_before(self, step: int) -> int:
        """Step of the last saved state, at most `step`; raises DamagedFile where there is none."""
        kept = max((kept for kept in self.steps() if kept <= step), default=None)
        if kept is None:
            raise DamagedFile(f"{self.path(0)} {ABSENT}. {self.remedy.of(ABSENT)}")
        return kept

    def reached(self, steps: Iterable[int]) -> int | None:
        """The last of some steps up to which every state is there and intact; None: not even the first is."""
        whole = takewhile(lambda step: intact(self.path(step)), sorted(steps))
        return max(whole, default=None)

    def save(self, step: int, state: State) -> None:
        """Write the state before `step`."""
        write_sealed(self.path(step), tensor_content(state.tensors()))

    def load(self, step: int, device: torch.device = CPU) -> State:
        """Read the state before `step`.

        Raises:
            DamagedFile: the file is missing, or is not what was written.
        """
        require_sealed(self.path(step), self.remedy)
        return State.of(read_tensors(self.path(step), device))

    def keep_frozen(self, frozen: Frozen) -> None:
        """Write the model's frozen parameters and buffers, unless there are none; replicates share the file.

        Raises:
            SimulationError: the file holds other ones; names them.
            DamagedFile: the file is not what was written.
        """
        path = self.folder.parent / FROZEN
        if not path.exists():
            if frozen:
                write_sealed(path, tensor_content(frozen))
            return
        require_sealed(path, self.remedy)
        kept = read_tensors(path)
        changed = sorted(frozen.keys() ^ kept.keys())
        changed += [
            name for name, value in kept.items() if name in frozen and not torch.equal(value, frozen[name])
        ]
        if changed:
            raise SimulationError(
                f"The model was trained with other frozen parameters or buffers than it has now: "
                f"{', '.join(changed[:5])}. Those of the training are in {path}. Restore them, or delete the "
                "folder to train anew"
            )

    def sha256(self, step: int) -> str:
        """SHA-256 of the file of the state before `step`."""
        return file_sha256(self.path(step))


def record(recipe: Recipe, folder: Path, on_step: OnStep | None = None) -> Trajectory:
    """Train by the recipe and save the states; resumes from the last state before one that is lost or damaged."""
    trajectory = Trajectory(folder)
    keep = {0, *checkpoint_steps(recipe)}
    first = trajectory.reached(keep)
    if first is None:
        first = 0
        trajectory.save(0, recipe.initial())

    def after(step: int, state: State) -> None:
        if step in keep:
            trajectory.save(step, state)
        if on_step is not None:
            on_step(step, state)

    everything = torch.ones(len(recipe.data.source_ids))
    recipe.run(trajectory.load(first, recipe.device), range(first, recipe.steps), everything, after)
    return trajectory
