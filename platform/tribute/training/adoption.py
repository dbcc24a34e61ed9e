"""Adoption of a recorded training loop: replay it step by step and compare.

Legend: P parameters.
"""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from tribute.errors import ConfigError, SimulationError
from tribute.training.recipe import Recipe
from tribute.training.recording import SUMS, Recording, read_recording, trace
from tribute.training.step import NORM_FLOOR, State
from tribute.training.trajectory import Trajectory, checkpoint_steps

STEP_TOLERANCE = 1e-2
"""Largest deviation of a replayed step from the recording, relative to the length of the step."""
STRETCH_TOLERANCE = 5e-2
"""Largest deviation between two recorded states, relative to the distance between them."""
GROWTH = 0.5
"""Largest relative growth of an earlier deviation in one step: unstable trainings amplify rounding."""
ROUNDING = 1e-6
"""Deviations below this fraction of the norm of the parameters count as rounding."""


class Drift(SimulationError):
    """The replay of a recorded training deviates from it at this step."""

    def __init__(self, folder: Path, step: int, drift: float) -> None:
        super().__init__(folder, step, drift)
        self.step = step

    def __str__(self) -> str:
        folder, step, drift = self.args
        return (
            f"The replay of {folder} drifts from the recording, first at step {step}, by {drift:.1e} of the "
            "distance that the parameters travelled. Check what the recording does not hold: dropout, another "
            "loss, clipping, modified examples. If rounding grows, use float32 without TF32, a lower learning "
            "rate, a larger eps, or Recorder(every=...) below 100"
        )


def adopt(recipe: Recipe, folder: Path) -> Trajectory:
    """Replay the recipe's recording from each recorded state to the next, and keep the states in `folder`.

    Every stretch starts from a recorded state, so rounding cannot accumulate over the whole run. The state kept at
    the start of a stretch is the recorded one. The final state is that of the replay, so that a simulation from
    any kept state ends there. An interrupted call resumes from the last state in `folder`.

    Raises:
        ConfigError: the `training` section does not match the recorded optimizer; names the keys to change.
        Drift: the replay deviates from the recording; names the first such step.
    """
    assert recipe.recording is not None
    recording = read_recording(recipe.recording)
    _check_settings(recipe, recording)
    theirs, ours = Trajectory(recipe.recording), Trajectory(folder)
    start = theirs.load(0)
    if start.theta.numel() != recipe.task.size:
        raise ConfigError(
            f"{recording.folder} recorded {start.theta.numel()} parameters, the task has {recipe.task.size}. "
            "Correct task.options"
        )
    if not ours.steps():
        ours.save(0, start)
    reached = ours.steps()[-1]
    for first, last in pairwise(sorted({*theirs.steps(), recipe.steps})):
        if last > reached:
            _replay(recipe, recording, ours, range(first, last))
    return ours


def _replay(recipe: Recipe, recording: Recording, ours: Trajectory, steps: range) -> None:
    theirs, keep = Trajectory(recording.folder), set(checkpoint_steps(recipe))
    start = theirs.load(steps.start, recipe.device)
    watch = _Watch(recording, start.theta)

    def after(step: int, state: State) -> None:
        watch.look(step, state.theta)
        if step in keep and step < steps.stop:
            ours.save(step, state)

    everything = torch.ones(len(recipe.data.source_ids))
    end = recipe.run(start, steps, everything, after)
    recorded = theirs.load(steps.stop, recipe.device) if steps.stop in theirs.steps() else end
    drift, travelled = _distance(end.theta, recorded.theta), _distance(end.theta, start.theta)
    if not drift <= STRETCH_TOLERANCE * travelled + ROUNDING * float(start.theta.norm()):
        raise Drift(recording.folder, steps.stop - 1, drift / max(travelled, NORM_FLOOR))
    if steps.stop in keep:
        ours.save(steps.stop, end if steps.stop == recipe.steps else recorded)


class _Watch:
    """Compares the replay with the traces: the deviation that each step adds, relative to its length."""

    def __init__(self, recording: Recording, start_P: Tensor) -> None:
        self._recording, self._theta, self._apart = recording, start_P, np.zeros(SUMS)

    def look(self, step: int, theta_P: Tensor) -> None:
        """Compare the parameters after `step` steps with their trace; raises Drift."""
        apart = math.sqrt(2) * (np.array(trace(theta_P)) - self._recording.traces[step - 1])
        added, before = float(np.linalg.norm(apart - self._apart)), float(np.linalg.norm(self._apart))
        travelled = _distance(theta_P, self._theta)
        allowed = STEP_TOLERANCE * travelled + GROWTH * before + ROUNDING * float(theta_P.norm())
        if not added <= allowed:
            raise Drift(self._recording.folder, step - 1, added / max(travelled, NORM_FLOOR))
        self._theta, self._apart = theta_P, apart


def _distance(one_P: Tensor, other_P: Tensor) -> float:
    return float((one_P - other_P).double().norm())


def _check_settings(recipe: Recipe, recording: Recording) -> None:
    ours = recipe.training.model_dump(mode="json")
    wrong = {name: value for name, value in recording.settings.items() if ours[name] != value}
    if wrong:
        lines = "".join(f"\n  {name}: {value}" for name, value in wrong.items())
        raise ConfigError(f"{recording.folder} was recorded with other settings. Set in `training`:{lines}")


def load_checkpoint(recipe: Recipe, path: Path) -> State:
    """Load a model that was trained elsewhere, with a fresh optimizer state.

    Args:
        path: safetensors file of the module's `state_dict`.

    Raises:
        ConfigError: the file cannot be read, or its parameters do not match the task.
    """
    try:
        named = safetensors.torch.load_file(path)
    except Exception as error:
        raise ConfigError(f"training.checkpoint {path} cannot be read as safetensors: {error}") from None
    theta_P = recipe.task.flatten(named).to(recipe.device, torch.get_default_dtype())
    return State(theta_P, recipe.rule.optimizer.init(theta_P))
