"""A training run on disk: its states at every tenth of the learning-rate mass.

A trajectory is complete once its last state exists. States are written atomically, so an interrupted training
resumes from the last one.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from tribute.errors import SimulationError
from tribute.tasks import Frozen
from tribute.training.recipe import CPU, OnStep, Recipe
from tribute.training.recording import FROZEN
from tribute.training.step import State
from tribute_storage.atomic import write_atomically

TENTHS = 10


def checkpoint_steps(recipe: Recipe) -> list[int]:
    """Steps at which the state is saved: the start of every tenth of the learning-rate mass, and the end."""
    return sorted({recipe.horizon_start(tenth / TENTHS) for tenth in range(1, TENTHS + 1)} | {recipe.steps})


@dataclass(frozen=True)
class Trajectory:
    """The saved states of one replicate."""

    folder: Path

    def path(self, step: int) -> Path:
        """File of the state before `step`."""
        return self.folder / f"step-{step:08d}.safetensors"

    def steps(self) -> list[int]:
        """Steps of the saved states, ascending."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self.folder.glob("step-*.safetensors"))

    def last_before(self, step: int) -> int:
        """Step of the last saved state, at most `step`."""
        return max(kept for kept in self.steps() if kept <= step)

    def save(self, step: int, state: State) -> None:
        """Write the state before `step`."""
        tensors = {"theta": state.theta} | {f"slot{i}": slot for i, slot in enumerate(state.slots)}
        write_atomically(self.path(step), safetensors.torch.save({k: t.cpu() for k, t in tensors.items()}))

    def load(self, step: int, device: torch.device = CPU) -> State:
        """Read the state before `step`."""
        tensors = safetensors.torch.load_file(self.path(step), device=str(device))
        return State(tensors.pop("theta"), tuple(tensors[name] for name in sorted(tensors)))

    def keep_frozen(self, frozen: Frozen) -> None:
        """Write the model's frozen parameters and buffers, unless there are none; replicates share the file.

        Raises:
            SimulationError: the file holds other ones; names them.
        """
        path = self.folder.parent / FROZEN
        if not path.exists():
            if frozen:
                plain = {name: value.detach().cpu().clone().contiguous() for name, value in frozen.items()}
                write_atomically(path, safetensors.torch.save(plain))
            return
        kept = safetensors.torch.load_file(path)
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
        return hashlib.sha256(self.path(step).read_bytes()).hexdigest()


def record(recipe: Recipe, folder: Path, on_step: OnStep | None = None) -> Trajectory:
    """Train by the recipe and save the states; resumes from the last saved state."""
    trajectory = Trajectory(folder)
    keep = set(checkpoint_steps(recipe))
    if not trajectory.steps():
        trajectory.save(0, recipe.initial())
    first = trajectory.steps()[-1]

    def after(step: int, state: State) -> None:
        if step in keep:
            trajectory.save(step, state)
        if on_step is not None:
            on_step(step, state)

    everything = torch.ones(len(recipe.data.source_ids))
    recipe.run(trajectory.load(first, recipe.device), range(first, recipe.steps), everything, after)
    return trajectory
