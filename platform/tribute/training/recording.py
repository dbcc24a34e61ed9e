"""A training of the user's own, as its `Recorder` wrote it: batches, rates, states, and a trace of every step.

A folder holds `recording.json` (the optimizer's settings), `steps.jsonl` (a line per step: its rate, the example
indices of every accumulated part, and the trace) and `step-NNNNNNNN.safetensors` (states, as in a trajectory).
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
from tribute.training.schedules import Schedule

SETTINGS, STEPS = "recording.json", "steps.jsonl"
SUMS = 16
"""Numbers in a trace."""


@dataclass(frozen=True)
class RecordedOrder:
    """The examples of every step, as recorded."""

    batches: list[list[NDArray[np.int64]]]

    def parts(self, step: int) -> list[NDArray[np.int64]]:
        """Indices of the examples of a step, part by part."""
        return self.batches[step]


@dataclass(frozen=True)
class Recording:
    """What a recorded training did: the settings of `training` that it used, and every step.

    `traces` are those of the parameters after every step, [T, 16].
    """

    folder: Path
    settings: dict[str, Any]
    rates: NDArray[np.float64]
    order: RecordedOrder
    traces: NDArray[np.float64]

    def schedule(self, examples: int) -> Schedule:
        """The recorded schedule over a training set of `examples`.

        Raises:
            ConfigError: an index lies outside it.
        """
        highest = max(int(part.max()) for parts in self.order.batches for part in parts)
        if highest >= examples:
            raise ConfigError(
                f"{self.folder} recorded example {highest}, but the corpus has {examples} training examples. Draw "
                "batches by index from `tribute.training.training_set(project.corpus)`, in its order"
            )
        return Schedule(self.rates, self.order)


def trace(theta_P: Tensor) -> list[float]:
    """sum_j theta_i cos(i) over i = r + 16 j, for r = 0..15, in float64: a sketch of the parameters, [16].

    As the mean of cos^2 is 1/2, two sketches lie about 1 / sqrt(2) as far apart as the parameters do.
    """
    waved_P = theta_P.detach().double().cpu() * _waves(theta_P.numel())
    sums: list[float] = functional.pad(waved_P, (0, -len(waved_P) % SUMS)).view(-1, SUMS).sum(0).tolist()
    return sums


@lru_cache(maxsize=1)
def _waves(size: int) -> Tensor:
    return torch.arange(size, dtype=torch.float64).cos()


@lru_cache(maxsize=4)
def read_recording(folder: Path) -> Recording:
    """Read a recording.

    Raises:
        ConfigError: the folder holds none, or it stopped before its first step.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text())
        steps = [json.loads(line) for line in (folder / STEPS).read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} holds no recorded training ({error}). Write one with `tribute.training.Recorder`"
        ) from None
    if not steps:
        raise ConfigError(f"The training recorded in {folder} stopped before its first step")
    batches = [[np.array(part, dtype=np.int64) for part in step["parts"]] for step in steps]
    rates = np.array([step["rate"] for step in steps])
    traces = np.array([step["trace"] for step in steps])
    return Recording(folder, settings, rates, RecordedOrder(batches), traces)
