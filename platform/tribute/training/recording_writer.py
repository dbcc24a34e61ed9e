"""Writes the files of a recording, step by step, and goes on with one after a checkpoint."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tribute.errors import ConfigError
from tribute.files.sealed import remove_sealed, write_sealed
from tribute.files.tensors import read_tensors, tensor_content
from tribute.tasks import Frozen
from tribute.training.groups import ParameterGroups, filled_groups
from tribute.training.recording import FROZEN, SETTINGS, STEPS, read_recording, trace
from tribute.training.schedules import Pass
from tribute.training.step import State
from tribute.training.trajectory import Trajectory
from tribute_storage.atomic import write_atomically

SAME = 1e-9
"""Largest relative difference of two traces of the same parameters: sums may be rounded otherwise."""


class RecordingWriter:
    """Writes a recording.

    Args:
        folder: for a new recording; or, with `step`, one that holds the steps before.
        settings: content of `recording.json`.
        every: steps between states.
        step: the number of steps that were taken before, whose lines and states are kept; later ones are dropped.

    Raises:
        ConfigError: the folder holds a recording already; or, with `step`, it is none of the training so far.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], state: State, frozen: Frozen, every: int, step: int = 0
    ) -> None:
        self._trajectory, self._every, self._step = Trajectory(folder), every, step
        read_recording.cache_clear()
        lines = _kept_lines(folder, settings, state, frozen, step) if step else []
        if not step and (folder / SETTINGS).exists():
            raise ConfigError(f"{folder} already holds a recording. Choose another folder, or delete this one")
        for later in (each for each in self._trajectory.steps() if each > step):
            remove_sealed(self._trajectory.path(later))
        self._trajectory.save(step, state)
        if not step:
            write_sealed(folder / FROZEN, tensor_content(frozen))
            write_atomically(folder / SETTINGS, json.dumps(settings).encode())
        write_atomically(folder / STEPS, "".join(f"{line}\n" for line in lines).encode())
        self._file = (folder / STEPS).open("a")

    def write(self, line: Mapping[str, Any], state: Callable[[], State]) -> None:
        """Write the line of a step, and the state after it where one is due."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._step += 1
        if self._step % self._every == 0:
            self._trajectory.save(self._step, state())

    def close(self, state: State | None) -> None:
        """Write the last state, where it is known."""
        self._file.close()
        if state is not None:
            self._trajectory.save(self._step, state)
        read_recording.cache_clear()


def pass_columns(passes: Sequence[Pass], *, seeds: bool, widths: bool) -> dict[str, Any]:
    """Columns of a step's line: its micro-batches, with their seeds and widths if a replay needs these."""
    line: dict[str, Any] = {"parts": [each.indices_B.tolist() for each in passes]}
    if passes[0].share_B is not None:
        line["shares"] = [each.share_B.tolist() for each in passes if each.share_B is not None]
    line |= {"seeds": [each.seed for each in passes]} if seeds else {}
    known = widths and any(each.width is not None for each in passes)
    return line | ({"widths": [each.width for each in passes]} if known else {})


def group_columns(
    began: ParameterGroups, now: ParameterGroups, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Columns of a step's line: rates of the parameter groups after the first, and what changed in each."""
    rates = [float(group["lr"]) for group in filled_groups(optimizer)[1:]]
    change, *changes = (
        {name: value for name, value in after.items() if value != before[name]}
        for after, before in zip(now.settings, began.settings, strict=True)
    )
    line: dict[str, Any] = {"changes": change} if change else {}
    line |= {"group_rates": rates} if rates else {}
    return line | ({"group_changes": changes} if any(changes) else {})


def _kept_lines(folder: Path, settings: Mapping[str, Any], state: State, frozen: Frozen, step: int) -> list[str]:
    """The lines of the first steps, if the recording is of the training that led to this state."""
    try:
        recorded = json.loads((folder / SETTINGS).read_text())
        lines = (folder / STEPS).read_text().splitlines()[:step]
        traced = np.array(json.loads(lines[-1])["trace"]) if len(lines) == step else None
        theirs = read_tensors(folder / FROZEN)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The training goes on after step {step}, but {folder} holds no recording of the steps before "
            f"({error}). Name the folder into which they were recorded, or record from the first step on"
        ) from None
    if traced is None:
        raise ConfigError(
            f"The training goes on after step {step}, but {folder} holds {len(lines)} steps. Go on from an "
            "earlier checkpoint, or record from the first step on"
        )
    wrong = [name for name in {**recorded, **settings} if recorded.get(name) != settings.get(name)]
    if wrong:
        raise ConfigError(
            f"The training goes on with other settings than {folder} recorded: {', '.join(wrong)}. Go on with "
            "the same ones, or record anew into another folder"
        )
    now = np.array(trace(state.theta))
    same = theirs.keys() == frozen.keys() and all(torch.equal(frozen[n], v) for n, v in theirs.items())
    if not same or np.abs(now - traced).max() > SAME * max(1.0, float(np.abs(traced).max())):
        raise ConfigError(
            f"The training goes on from other parameters than {folder} recorded after step {step}. Go on from a "
            "checkpoint of the recorded run, or record anew into another folder"
        )
    return lines
