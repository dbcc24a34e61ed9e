"""A recorded training loop, as written by `Recorder`: batches, rates, states, and a trace of every step.

A folder holds `recording.json` (settings of the optimizer), `steps.jsonl` (for each step: the rate, the example
indices of every micro-batch, the trace, and what differs from the settings), `step-NNNNNNNN.safetensors` (states,
as in a trajectory) and `frozen.safetensors` (frozen parameters and buffers).
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tribute.errors import ConfigError
from tribute.tasks import Parameters
from tribute.training.schedules import Schedule

SETTINGS, STEPS, FROZEN = "recording.json", "steps.jsonl", "frozen.safetensors"
SUMS = 16
"""Numbers in a trace."""
BLOCK = 2**16
"""Entries of a tensor that a trace reads at once."""


@dataclass(frozen=True)
class RecordedOrder:
    """Recorded example indices of every step."""

    batches: list[list[NDArray[np.int64]]]
    over_examples: bool = False

    def micro_batches(self, step: int) -> list[NDArray[np.int64]]:
        """Example indices of a step, by micro-batch."""
        return self.batches[step]


@dataclass(frozen=True)
class Recording:
    """A recorded training: its `training` settings, rates [T], batches, and traces of the parameters [T, 16].

    `changes` holds, for each step, the settings of the optimizer that differ from `settings`.
    """

    folder: Path
    settings: dict[str, Any]
    rates: NDArray[np.float64]
    order: RecordedOrder
    traces: NDArray[np.float64]
    changes: tuple[dict[str, Any], ...]

    def schedule(self, examples: int) -> Schedule:
        """The recorded schedule, for a training set of `examples` examples.

        Raises:
            ConfigError: an index lies outside the training set.
        """
        highest = max(int(part.max()) for parts in self.order.batches for part in parts)
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
        batches = [[np.array(part, dtype=np.int64) for part in step["parts"]] for step in steps]
        rates = np.array([step["rate"] for step in steps], dtype=np.float64)
        traces = np.array([step["trace"] for step in steps], dtype=np.float64)
        over_examples = any(step.get("over_examples", False) for step in steps)
        changes = tuple(step.get("changes", {}) for step in steps)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder} holds no recorded training ({error}). Record one with `tribute.training.Recorder`"
        ) from None
    if not steps:
        raise ConfigError(f"The training recorded in {folder} has no step. Record it again")
    return Recording(folder, settings, rates, RecordedOrder(batches, over_examples), traces, changes)
