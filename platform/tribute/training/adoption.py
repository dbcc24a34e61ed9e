"""Taking over a training that was recorded elsewhere: replay it, step by step, and compare.

Legend: P parameters.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from tribute.errors import ConfigError, SimulationError
from tribute.training.recipe import Recipe
from tribute.training.recording import Recording, read_recording, trace
from tribute.training.step import State
from tribute.training.trajectory import Trajectory, record

TOLERANCE = 1e-3
"""A replay may differ from the recording by this part of how far the parameters have moved."""


class Drift(SimulationError):
    """The replay of a recorded training left it at this step."""

    def __init__(self, folder: Path, step: int, drift: float) -> None:
        super().__init__(folder, step, drift)
        self.step = step

    def __str__(self) -> str:
        folder, step, drift = self.args
        return (
            f"The replay of {folder} drifts from it, first at step {step}: by {drift:.1e} of the distance the "
            "parameters had moved. Look there for what was not recorded: dropout, another loss, clipping, "
            "examples changed on the way, or rounding that grows (lower learning rate, float32)"
        )


def adopt(recipe: Recipe, folder: Path) -> Trajectory:
    """Replay the recipe's recording from its first state and keep the replayed states in `folder`.

    Raises:
        ConfigError: `training` does not say what the recorded optimizer did; names the keys to write.
        Drift: the replay is not the recorded training; names the first step at which it is not.
    """
    assert recipe.recording is not None
    recording = read_recording(recipe.recording)
    _check_settings(recipe, recording)
    theirs = Trajectory(recipe.recording)
    start = theirs.load(0, recipe.device)
    if start.theta.numel() != recipe.task.size:
        raise ConfigError(
            f"{recording.folder} recorded {start.theta.numel()} parameters, the task has {recipe.task.size}. "
            "Correct task.options"
        )
    checkpoints = set(theirs.steps())

    def after(step: int, state: State) -> None:
        moved = float((state.theta - start.theta).double().norm())
        drift = abs(trace(state.theta) - recording.traces[step - 1])
        if step in checkpoints:
            drift = max(drift, _distance(state.theta, theirs.load(step, recipe.device).theta))
        if not drift <= TOLERANCE * max(moved, 1e-12):
            Trajectory(folder).path(step).unlink(missing_ok=True)  # or the next try would start behind it
            raise Drift(recording.folder, step - 1, drift / max(moved, 1e-12))

    return record(recipe, folder, after, start)


def _distance(ours_P: Tensor, theirs_P: Tensor) -> float:
    return float((ours_P - theirs_P).double().norm())


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
