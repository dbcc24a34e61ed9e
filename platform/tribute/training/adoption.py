"""Adoption of a recorded training loop: replay it step by step and compare."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from tribute.errors import ConfigError, DamagedFile, SimulationError
from tribute.files.sealed import Remedy
from tribute.ids import listed
from tribute.tasks import Parameters, combined
from tribute.training.recipe import OnStep, Recipe
from tribute.training.recording import SUMS, Recording, read_recording, trace
from tribute.training.step import NORM_FLOOR, State
from tribute.training.stored_model import StoredModel
from tribute.training.trajectory import Trajectory, checkpoint_steps
from tribute_storage.atomic import write_atomically

STEP_TOLERANCE = 5e-2
"""Largest deviation of a replayed step from the recording, relative to the length of the step. Adam's first steps
go by signs of gradients, which rounding decides where they are near 0: .02 was found for an adapter of a
pretrained model in float32, at the second step."""
ROUNDED_TOLERANCE = 0.25
"""The same in bfloat16: .16 was found under other kernels. A batch of other examples deviates by more."""
STRETCH_TOLERANCE, ROUNDED_STRETCH = 5e-2, 0.2
"""Largest deviation between two recorded states, relative to the distance between them; the same in bfloat16."""
DRIFT = "drift.json"
"""The deviation at the end of each stretch, by its last step."""
GROWTH = 0.5
"""Largest relative growth of an earlier deviation in one step: unstable trainings amplify rounding."""
SAME_DIRECTION = 2e-2
"""Largest relative difference of a step from a multiple of another, if both have one direction."""
ROUNDING = 1e-6
"""Deviations below this fraction of the norm of the parameters count as rounding."""
RECORD = Remedy("Restore it from a backup, or record the training again", again=False)
"""The remedy for a damaged recording."""


class Drift(SimulationError):
    """The replay of a recorded training deviates from it at this step."""

    def __init__(self, folder: Path, step: int, drift: float, factor: float | None = None) -> None:
        super().__init__(folder, step, drift, factor)
        self.step = step

    def __str__(self) -> str:
        folder, step, drift, factor = self.args
        told = (
            f"The replay of {folder} drifts from the recording, first at step {step}, by {drift:.1e} of the "
            "distance that the parameters travelled. "
        )
        if factor is not None:
            return told + (
                f"The recorded step is {factor:.3g} times as long in the same direction: let the loss be a mean "
                "over the examples of a micro-batch, divided by the number of micro-batches"
            )
        return told + (
            "Check what the recording does not hold: another loss, modified examples, mixed precision. With "
            "Recorder(task=..., data=...) the first step is compared with the task's loss. If rounding grows, use "
            "float32 without TF32, a lower learning rate, a larger eps, or Recorder(every=...) below 100"
        )


def adopt(recipe: Recipe, folder: Path, on_step: OnStep | None = None) -> Trajectory:
    """Replay the recipe's recording from each recorded state to the next, and keep the states in `folder`.

    Every stretch starts from a recorded state, so rounding cannot accumulate over the whole run. The state kept at
    the start of a stretch is the recorded one. The final state is that of the replay, so that a simulation from
    any kept state ends there. An interrupted call resumes from the last state in `folder` before one that is lost
    or damaged.

    Raises:
        ConfigError: the `training` section does not match the recorded optimizer; names the keys to change.
        Drift: the replay deviates from the recording; names the first such step.
    """
    recording = fitting_recording(recipe)
    theirs, ours = Trajectory(recording.folder, RECORD), Trajectory(folder)
    reached = ours.reached({0, *checkpoint_steps(recipe)})
    if reached is None:
        reached = 0
        ours.save(0, _recorded(theirs, 0, recipe))
    for first, last in pairwise(sorted({*theirs.steps(), recipe.steps})):
        if last > reached:
            _replay(recipe, recording, ours, range(first, last), on_step)
    return ours


def replay_drift(*folders: Path) -> float | None:
    """How far the replays that were adopted in some folders are from their recordings; None: it is not known.

    The largest deviation at the end of a stretch between two recorded states, as a part of the way between them.
    """
    return max((drift for folder in folders for drift in _drifts(folder).values()), default=None)


def distance_to_end(recipe: Recipe, theta: Parameters) -> float | None:
    """How far parameters are from the end of the recipe's recording, as a part of the way from its beginning.

    None: the recording holds no last state, as where the loop broke off.
    """
    assert recipe.recording is not None
    theirs = Trajectory(recipe.recording, RECORD)
    if recipe.steps not in theirs.steps():
        return None
    first, last = (_recorded(theirs, step, recipe).theta for step in (0, recipe.steps))
    return _distance(theta, last) / max(_distance(last, first), NORM_FLOOR)


def replays_end(drift: float | None) -> str:
    """A clause that says so after others; empty if nothing was replayed."""
    return "" if drift is None else f"; replays end within {drift:.1g} of the way of their recordings"


def _drifts(folder: Path) -> dict[str, float]:
    path = folder / DRIFT
    return json.loads(path.read_text()) if path.is_file() else {}


def fitting_recording(recipe: Recipe) -> Recording:
    """The recipe's recording, if it is of this training and of this model.

    Raises:
        ConfigError: it cannot be read, or has other settings, examples or parameters; names the keys to change.
    """
    assert recipe.recording is not None
    recording = read_recording(recipe.recording)
    ours = recipe.training.model_dump(mode="json")
    wrong = {name: value for name, value in recording.settings.items() if ours.get(name) != value}
    if wrong:
        lines = "".join(f"\n  {name}: {value}" for name, value in wrong.items())
        raise ConfigError(f"{recording.folder} was recorded with other settings. Set in `training`:{lines}")
    recording.schedule(len(recipe.data))
    try:
        recorded = Trajectory(recording.folder, RECORD).load(0).theta
    except DamagedFile:
        raise
    except Exception as error:  # whatever safetensors raises
        raise ConfigError(
            f"The first state in {recording.folder} cannot be read: {error}. Record the training again"
        ) from None
    theirs = {name: value.shape for name, value in recorded.items()}
    ours_and_theirs = {**recipe.task.shapes, **theirs}
    other = [name for name in ours_and_theirs if theirs.get(name) != recipe.task.shapes.get(name)]
    if other:
        raise ConfigError(
            f"{recording.folder} recorded other parameters than the task has: {listed(other)} are missing in one "
            "of them, or have other shapes. Correct task.options, and return the same module from Task.build"
        )
    return recording


def _replay(recipe: Recipe, recording: Recording, ours: Trajectory, steps: range, on_step: OnStep | None) -> None:
    theirs, keep = Trajectory(recording.folder, RECORD), set(checkpoint_steps(recipe))
    start = _recorded(theirs, steps.start, recipe)
    rounds = recipe.task.rounded_to is torch.bfloat16
    per_step, most = (ROUNDED_TOLERANCE, ROUNDED_STRETCH) if rounds else (STEP_TOLERANCE, STRETCH_TOLERANCE)
    watch = _Watch(recording, start.theta, per_step)

    def after(step: int, state: State) -> None:
        watch.look(step, state.theta)
        if step in keep and step < steps.stop:
            ours.save(step, state)
        if on_step is not None:
            on_step(step, state)

    everything = torch.ones(len(recipe.data.source_ids))
    end = recipe.run(start, steps, everything, after)
    recorded = _recorded(theirs, steps.stop, recipe) if steps.stop in theirs.steps() else end
    travelled = _distance(end.theta, start.theta)
    drift = watch.apart if recorded is end else _distance(end.theta, recorded.theta)
    relative = drift / max(travelled, NORM_FLOOR)
    if not drift <= most * travelled + ROUNDING * _norm(start.theta):
        raise Drift(recording.folder, steps.stop - 1, relative)
    write_atomically(ours.folder / DRIFT, json.dumps(_drifts(ours.folder) | {str(steps.stop): relative}).encode())
    if steps.stop in keep:
        ours.save(steps.stop, end if steps.stop == recipe.steps else recorded)


def _recorded(theirs: Trajectory, step: int, recipe: Recipe) -> State:
    """A recorded state, in the order and the precision of the task."""
    state, task = theirs.load(step, recipe.device), recipe.task
    theta, *slots = (
        {name: named[name].to(task.dtype) for name in task.shapes} for named in (state.theta, *state.slots)
    )
    return State(theta, tuple(slots))


class _Watch:
    """Compares the replay with the traces: the deviation that each step adds, relative to its length."""

    def __init__(self, recording: Recording, start: Parameters, tolerance: float) -> None:
        self._recording, self._theta, self._apart = recording, start, np.zeros(SUMS)
        self._tolerance = tolerance

    @property
    def apart(self) -> float:
        """How far the replay is from the recording after the last step."""
        return float(np.linalg.norm(self._apart))

    def look(self, step: int, theta: Parameters) -> None:
        """Compare the parameters after `step` steps with their trace; raises Drift."""
        apart = math.sqrt(2) * (np.array(trace(theta)) - self._recording.traces[step - 1])
        added, before = float(np.linalg.norm(apart - self._apart)), float(np.linalg.norm(self._apart))
        travelled = _distance(theta, self._theta)
        allowed = self._tolerance * travelled + GROWTH * before + ROUNDING * _norm(theta)
        if not added <= allowed:
            drift, factor = added / max(travelled, NORM_FLOOR), self._factor(step, theta)
            raise Drift(self._recording.folder, step - 1, drift, factor)
        self._theta, self._apart = theta, apart

    def _factor(self, step: int, theta: Parameters) -> float | None:
        """By what the recorded step is a multiple of the replayed one; None if its direction is another."""
        before = np.array(trace(self._theta)) if step == 1 else self._recording.traces[step - 2]
        theirs, ours = self._recording.traces[step - 1] - before, np.array(trace(theta)) - trace(self._theta)
        factor = float(theirs @ ours) / max(float(ours @ ours), NORM_FLOOR)
        straight = np.linalg.norm(theirs - factor * ours) <= SAME_DIRECTION * np.linalg.norm(theirs)
        return factor if straight and factor > 0 else None


def _norm(theta: Parameters) -> float:
    return math.sqrt(sum(float(value.norm().double().square()) for value in theta.values()))


def _distance(one: Parameters, other: Parameters) -> float:
    return _norm(combined(torch.sub, one, other))


def load_checkpoint(recipe: Recipe, path: Path) -> State:
    """Load a model that was trained elsewhere, with a fresh optimizer state.

    Args:
        path: safetensors file of the module's `state_dict`.

    Raises:
        ConfigError: the file cannot be read, or does not hold exactly the task's model; names what differs.
    """
    theta_P = StoredModel.read(path, recipe.task).theta_P.to(recipe.device)
    return recipe.rule.begin(recipe.task.pieces(theta_P))
