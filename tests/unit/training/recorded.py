"""A user's own training in plain PyTorch, over the data of `small_recipe`, which records itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.unit.training.small import small_recipe
from tribute.training import Recipe, Recorder

STEPS = 24
SGD = {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01}
ADAM = {"betas": (0.8, 0.95), "eps": 1e-7, "weight_decay": 0.02}
LOOPS = [
    ("sgd", SGD, None),
    ("sgd", {}, 0.3),
    ("adam", ADAM, None),
    ("adamw", ADAM, 0.2),
]
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


@dataclass
class Loop:
    """A user's own training; `sabotage` is called before every step with its number, model and batch."""

    folder: Path
    optimizer: str = "sgd"
    options: dict = field(default_factory=dict)
    clip_norm: float | None = None
    parts: int = 2
    sabotage: Callable | None = None

    def run(self) -> torch.Tensor:
        data = small_recipe().data
        torch.manual_seed(7)
        model = small_recipe().task.task.build()
        optimizer = OPTIMIZERS[self.optimizer](model.parameters(), lr=0.05, **self.options)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        recorder = Recorder(self.folder, model, optimizer, clip_norm=self.clip_norm, every=5)
        order = np.random.default_rng(2)
        for step in range(STEPS):
            for indices in np.split(order.choice(len(data), 8, replace=False), self.parts):
                recorder.batch(torch.from_numpy(indices))
                used = indices if self.sabotage is None else self.sabotage(step, model, indices)
                rows, _ = data.batch(used, torch.device("cpu"))
                loss = nn.functional.cross_entropy(model(rows["features"]), rows["labels"])
                (loss / self.parts).backward()
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), self.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
        recorder.close()
        return nn.utils.parameters_to_vector(model.parameters()).detach()

    def recipe(self, **other: object) -> Recipe:
        plain = {"momentum": 0.0} if self.optimizer == "sgd" else {"eps_root": 0.0}
        settings = {"optimizer": self.optimizer, "clip_norm": self.clip_norm} | plain | self.options | other
        small = small_recipe(**settings)
        return Recipe(small.task_settings, small.training, small.data, 0, recording=self.folder)
