"""A user's own training of a small transformer with AdamW, in float32, which records itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tribute.config import TaskSettings, TrainingSettings
from tribute.training import Recipe, Recorder, TrainingSet

SETTINGS = {"optimizer": "adamw", "betas": (0.9, 0.999), "eps": 1e-8, "eps_root": 0.0, "weight_decay": 0.01}


def windows(rows: int, lowest: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(lowest)
    return {"tokens": np.sort(rng.integers(lowest, lowest + 20, (rows, 17)), axis=1).astype(np.int16)}


def lm_data() -> TrainingSet:
    return TrainingSet.assemble({"a": windows(20, 60), "b": windows(15, 70)})


def lm_recipe(folder: Path, clip_norm: float) -> Recipe:
    task = TaskSettings(name="byte_lm", options={"context": 16, "width": 16, "heads": 2, "layers": 2})
    return Recipe(
        task, TrainingSettings(batch_size=8, clip_norm=clip_norm, **SETTINGS), lm_data(), 0, recording=folder
    )


@dataclass(frozen=True)
class LmLoop:
    """A user's own training; `examples` says which ones a step really uses instead of those it records."""

    folder: Path
    steps: int
    rate: float
    clip_norm: float = 1.0
    clips: bool = True
    examples: Callable[[int, np.ndarray], np.ndarray] = lambda _step, indices: indices

    @property
    def recipe(self) -> Recipe:
        return lm_recipe(self.folder, self.clip_norm)

    def run(self) -> None:
        torch.manual_seed(1)
        task, data = self.recipe.task.task, self.recipe.data
        model, order = task.build(), np.random.default_rng(3)
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.rate, eps=1e-8, weight_decay=0.01)
        recorder = Recorder(self.folder, model, optimizer, clip_norm=self.clip_norm)
        for step in range(self.steps):
            indices = order.choice(len(data), 8, replace=False)
            recorder.batch(indices)
            batch, _ = data.batch(self.examples(step, indices), torch.device("cpu"))
            task.training_loss(model, batch).mean().backward()
            if self.clips:
                nn.utils.clip_grad_norm_(model.parameters(), self.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
        recorder.close()
