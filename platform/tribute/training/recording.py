"""A recorded training loop, as written by `Recorder`: batches, rates, states, and a trace of every step.

A folder holds `recording.json` (settings of the optimizer), `steps.jsonl` (for each step: the rate, the example
indices of every micro-batch, the trace, and what differs from the settings), `step-NNNNNNNN.safetensors` (states,
as in a trajectory) and `frozen.safetensors` (frozen parameters and buffers).

With several parameter groups, `recording.json` holds the settings of the first, those of each under `groups`, and
the group of each parameter under `group_of`. A step has the rates of the others as `group_rates`, and what changed
in them as `group_changes`. A step may also have, for each micro-batch, `shares`, `seeds` and `widths`: see `Pass`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tribute.config import TrainingSettings
from tribute.errors import ConfigError
from tribute.tasks import Parameters
from tribute.training.schedules import Pass, Schedule

SETTINGS, STEPS, FROZEN = "recording.json", "steps.jsonl", "frozen.safetensors"
SUMS = 16
"""Numbers in a trace."""
BLOCK = 2**16
"""Entries of a tensor that a trace reads at once."""


@dataclass(frozen=True)
class RecordedOrder:
    """Recorded micro-batches of every step."""

    recorded: list[list[Pass]]
    over_examples: bool = False

    @property
    def batches(self) -> list[list[NDArray[np.int64]]]:
        """Example indices of every step, by micro-batch."""
        return [self.micro_batches(step) for step in range(len(self.recorded))]

    def micro_batches(self, step: int) -> list[NDArray[np.int64]]:
        """Example indices of a step, by micro-batch."""
        return [each.indices_B for each in self.recorded[step]]

    def passes(self, step: int) -> list[Pass]:
        """The micro-batches of a step."""
        return self.recorded[step]


@dataclass(frozen=True)
class RecordedGroup:
    """A parameter group after the first: its parameters, settings, rates [T], and what changed at each step."""

    names: tuple[str, ...]
    settings: dict[str, Any]
    rates: tuple[float, ...]
    changes: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Recording:
    """A recorded training: its `training` settings, rates [T], batches, and traces of the parameters [T, 16].

    `changes` holds, for each step, the settings of the optimizer that differ from `settings`. Settings, rates and
    changes are those of the first parameter group; `groups` are the others.
    """

    folder: Path
    settings: dict[str, Any]
    rates: NDArray[np.float64]
    order: RecordedOrder
    traces: NDArray[np.float64]
    changes: tuple[dict[str, Any], ...]
    groups: tuple[RecordedGroup, ...] = ()

    def schedule(self, examples: int) -> Schedule:
        """The recorded schedule, for a training set of `examples` examples.

        Raises:
            ConfigError: an index lies outside the training set.
        """
        highest = max(int(each.indices_B.max()) for passes in self.order.recorded for each in passes)
        if highest >= examples:
            raise ConfigError(
                f"{self.folder} recorded example {highest}, but the corpus has {examples} training examples. Draw "
                "batches by index from `tribute.training.training_set(project.corpus)`, in its order"
            )
        return Schedule(self.rates, self.order)


def trace(theta: Parameters) -> list[float]:
    """Sketch of the parameters, [16]: for r = 0..15, sums of theta_i w_i over i = r, r + 16, ... of each tensor.

    w is the cosine of the position, which begins anew every 2^16 entries. The mean of cos^2 is 1/2, so the
    distance of two sketches is about 1 / sqrt(2) of that of the parameters. Computed on the device of the
    parameters in their precision, block by block, and added up in double.
    """
    sums, begun = torch.zeros(SUMS, dtype=torch.float64), 0
    for value in theta.values():
        for part in value.detach().reshape(-1).split(BLOCK):
            wave = _waves(value.dtype, value.device)[begun % BLOCK :][: len(part)]
            padded = functional.pad(part * wave, (0, -len(part) % SUMS))
            sums += padded.view(-1, SUMS).sum(0).double().cpu()
            begun += len(part)
    return [float(each) for each in sums]


@lru_cache(maxsize=4)
def _waves(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Two periods of the weights of a trace."""
    return torch.arange(BLOCK, dtype=torch.float64).cos().repeat(2).to(device, dtype)


@lru_cache(maxsize=4)
def read_recording(folder: Path) -> Recording:
    """Read a recording.

    Raises:
        ConfigError: the folder holds no recording, or the recording has no step.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text())
        steps = [json.loads(line) for line in (folder / STEPS).read_text().splitlines()]
        passes = [_passes(step) for step in steps]
        rates = np.array([step["rate"] for step in steps], dtype=np.float64)
        traces = np.array([step["trace"] for step in steps], dtype=np.float64)
        over_examples = any(step.get("over_examples", False) for step in steps)
        changes = tuple(step.get("changes", {}) for step in steps)
        groups = _further_groups(settings.pop("groups", []), settings.pop("group_of", {}), steps)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(
            f"{folder} holds no recorded training ({error}). Record one with `tribute.training.Recorder`"
        ) from None
    if not steps:
        raise ConfigError(f"The training recorded in {folder} has no step. Record it again")
    return Recording(folder, settings, rates, RecordedOrder(passes, over_examples), traces, changes, groups)


def recorded_training(*folders: str | Path) -> TrainingSettings:
    """The `training` section of a project, or of a study, whose replicates are recordings.

    Raises:
        ConfigError: none is given; a folder holds no recording; or they have different settings.
    """
    if not folders:
        raise ConfigError("recorded_training needs at least one folder with a recording, got none")
    first, *others = (read_recording(Path(folder)) for folder in folders)
    for other in others:
        wrong = [
            name
            for name in {**first.settings, **other.settings}
            if first.settings.get(name) != other.settings.get(name)
        ]
        if wrong:
            raise ConfigError(
                f"{first.folder} and {other.folder} were recorded with different settings: {', '.join(wrong)}. "
                "Record all replicates with the same ones"
            )
    more = {"recordings": tuple(Path(folder) for folder in folders), "replicates": len(folders)}
    return TrainingSettings.model_validate(first.settings | more)


def _passes(step: Mapping[str, Any]) -> list[Pass]:
    """The micro-batches of a line."""
    found = [Pass(np.array(part, dtype=np.int64)) for part in step["parts"]]
    if "shares" in step:
        shares = [np.array(share, dtype=np.float64) for share in step["shares"]]
        found = [each._replace(share_B=share_B) for each, share_B in zip(found, shares, strict=True)]
    if "seeds" in step:
        found = [each._replace(seed=seed) for each, seed in zip(found, step["seeds"], strict=True)]
    if "widths" in step:
        found = [each._replace(width=width) for each, width in zip(found, step["widths"], strict=True)]
    return found


def _further_groups(
    settings: list[dict[str, Any]], group_of: dict[str, int], steps: list[dict[str, Any]]
) -> tuple[RecordedGroup, ...]:
    """The parameter groups after the first."""
    return tuple(
        RecordedGroup(
            tuple(name for name, group in group_of.items() if group == number),
            settings[number],
            tuple(float(step["group_rates"][number - 1]) for step in steps),
            tuple(step["group_changes"][number - 1] if "group_changes" in step else {} for step in steps),
        )
        for number in range(1, len(settings))
    )
