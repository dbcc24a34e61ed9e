"""Taking over a training that was recorded elsewhere: replay it, step by step, and compare.

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
from tribute.training.step import TINY, State
from tribute.training.trajectory import Trajectory, checkpoint_steps

STEP_TOLERANCE = 1e-2
"""The replay of a step may differ from the recording by this part of how far the step went."""
STRETCH_TOLERANCE = 5e-2
"""Between two recorded states it may differ by this part of how far the parameters went."""
GROWTH = 0.5
"""By this part an earlier difference may grow in a step: unstable trainings amplify rounding."""
ROUNDING = 1e-6
"""Differences below this part of the parameters themselves are rounding."""


class Drift(SimulationError):
    """The replay of a recorded training left it at this step."""

    def __init__(self, folder: Path, step: int, drift: float) -> None:
        super().__init__(folder, step, drift)
        self.step = step

    def __str__(self) -> str:
        folder, step, drift = self.args
        return (
            f"The replay of {folder} drifts from it, first at step {step}: by {drift:.1e} of how far the "
            "parameters went. Look there for what was not recorded: dropout, another loss, clipping, examples "
            "changed on the way, or rounding that grows (float32 without TF32, lower learning rate, larger eps, "
            "Recorder(every=...) below 100)"
        )


def adopt(recipe: Recipe, folder: Path) -> Trajectory:
    """Replay the recipe's recording from each of its states to the next, and keep the states in `folder`.

    As every stretch starts from the recorded state, rounding cannot add up over the whole run. The state that is
    kept where a stretch starts is the recorded one, and the last is the replay's own, so that a simulation from
    any of them arrives at the last. Goes on from the last state in `folder`.

    Raises:
        ConfigError: `training` does not say what the recorded optimizer did; names the keys to write.
        Drift: the replay is not the recorded training; names the first step at which it is not.
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
    drift, moved = _distance(end.theta, recorded.theta), _distance(end.theta, start.theta)
    if not drift <= STRETCH_TOLERANCE * moved + ROUNDING * float(start.theta.norm()):
        raise Drift(recording.folder, steps.stop - 1, drift / max(moved, TINY))
    if steps.stop in keep:
        ours.save(steps.stop, end if steps.stop == recipe.steps else recorded)


class _Watch:
    """Compares the replay with the traces, step by step: what each step adds to the difference, for its length."""

    def __init__(self, recording: Recording, start_P: Tensor) -> None:
        self._recording, self._theta, self._apart = recording, start_P, np.zeros(SUMS)

    def look(self, step: int, theta_P: Tensor) -> None:
        """Compare the parameters after `step` steps; raises Drift."""
        apart = math.sqrt(2) * (np.array(trace(theta_P)) - self._recording.traces[step - 1])
        added, before = float(np.linalg.norm(apart - self._apart)), float(np.linalg.norm(self._apart))
        moved = _distance(theta_P, self._theta)
        allowed = STEP_TOLERANCE * moved + GROWTH * before + ROUNDING * float(theta_P.norm())
        if not added <= allowed:
            raise Drift(self._recording.folder, step - 1, added / max(moved, TINY))
        self._theta, self._apart = theta_P, apart


def _distance(one_P: Tensor, other_P: Tensor) -> float:
    return float((one_P - other_P).double().norm())


def _check_settings(recipe: Recipe, recording: Recording) -> None:
    ours = recipe.training.model_dump(mode="json")
    wrong = {name: value for name, value in recording.settings.items() if ours[name] != value}
    if wrong:
        lines = "".join(f"\n  {name}: {value}" for name, value in wrong.items())
        raise ConfigError(f"{recording.folder} was recorded under other settings. Write in `training`:{lines}")


def load_checkpoint(recipe: Recipe, path: Path) -> State:
    """The state of a model that was trained elsewhere, without its optimizer's history.

    Args:
        path: safetensors file of the module's `state_dict`.

    Raises:
        ConfigError: it cannot be read, or does not fit the task.
    """
    try:
        named = safetensors.torch.load_file(path)
    except Exception as error:
        raise ConfigError(f"training.checkpoint {path} cannot be read as safetensors: {error}") from None
    theta_P = recipe.task.flatten(named).to(recipe.device, torch.get_default_dtype())
    return State(theta_P, recipe.rule.optimizer.init(theta_P))
