"""A part of a project: a training loop of its owner that records itself."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, OneCycleLR

import tribute
from tests.fuzz.chance import Chance
from tests.fuzz.part import Part, require_close
from tests.fuzz.study.models import MODELS
from tests.fuzz.study.retraining import PlainTraining
from tests.fuzz.study.trained import learned
from tests.fuzz.study.worlds import World, drawn_world

FAULTS = (
    "other examples than told", "another loss", "the loss three times", "clipping untold",
    "clipping told, not done", "clipping by value", "two groups of parameters", "another optimizer",
    "amsgrad", "maximize", "dropout", "weights changed by hand", "uneven parts untold",
    "steps before the recording", "no batch told", "an index out of range", "half of the parameters",
)  # fmt: skip
OTHER_OPTIMIZERS = (
    "two groups of parameters",
    "another optimizer",
    "amsgrad",
    "maximize",
    "half of the parameters",
)
SCHEDULES: dict[str, Callable[[Optimizer, int], Any]] = {
    "none": lambda *_: None,
    "cosine": lambda optimizer, steps: CosineAnnealingLR(optimizer, steps),
    "exponential": lambda optimizer, _: ExponentialLR(optimizer, 0.9),
    "one cycle": lambda optimizer, steps: OneCycleLR(optimizer, 0.03, total_steps=steps + 1),
}
OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "sgd": lambda parameters: SGD(parameters, lr=0.03),
    "momentum": lambda parameters: SGD(parameters, lr=0.01, momentum=0.8, weight_decay=0.01),
    "nesterov": lambda parameters: SGD(parameters, lr=0.01, momentum=0.8, nesterov=True),
    "adam": lambda parameters: Adam(parameters, lr=0.01, eps=1e-4),
    "adamw": lambda parameters: AdamW(parameters, lr=0.01, eps=1e-4, weight_decay=0.1, betas=(0.8, 0.95)),
}
OF_LOOPS = tuple(set(MODELS) - {"dropout", "sparse embedding", "compiled", "double", "several dtypes"})


@dataclass
class RecordedStudy(Part):
    """Influences of a loop that its owner wrote."""

    world: World = field(kw_only=True)
    optimizer: str = field(kw_only=True)
    schedule: str = field(kw_only=True)
    batches: list[list[list[int]]] = field(kw_only=True)
    clip: float | None = field(kw_only=True)
    decays: bool = field(kw_only=True)

    @property
    def uneven(self) -> bool:
        """Whether the parts of a step differ in size."""
        return any(len({len(part) for part in parts}) > 1 for parts in self.batches)

    def check(self, folder: Path) -> None:
        """Compare with the same loop without each source."""
        training = tribute.TrainingSettings(replicates=1)
        simulation = tribute.SimulationSettings(horizon=1.0)
        study = self.world.study(folder, training=training, simulation=simulation)
        with learned(self, self._losses, 1e-4):
            self.run({}, study)
        found = study.attribute(self.world.queries)
        plain = self._plain()
        whole_Q = plain.measured(self.run({}), self.world.queries)
        require_close(found.measurement_Q, whole_Q, 2e-4, "measured")
        without = [plain.measured(self.run({s: 0.0}), self.world.queries) for s in range(len(self.world.ids))]
        require_close(
            found.influence_QS, np.stack([whole_Q - each for each in without], 1), 5e-4, "recorded, nats"
        )

    def run(self, weight_S: Mapping[int, float], study: tribute.Study | None = None) -> nn.Module:
        """Train as the owner does, with weights of the sources; and record it, if there is a study."""
        model = self._model()
        optimizer = self._optimizer(model)
        scheduler = SCHEDULES[self.schedule](optimizer, len(self.batches))
        told: dict[str, Any] = {"clip_norm": self.clip, "average": "examples" if self.uneven else None}
        if self.fault == "clipping told, not done":
            told["clip_norm"] = 1e-3
        if self.fault in ("clipping untold", "uneven parts untold"):
            told["average" if self.fault.startswith("uneven") else "clip_norm"] = None
        with ExitStack() as stack:
            recorder = study and stack.enter_context(study.record(model, optimizer, **told))
            for step, parts in enumerate(self.batches):
                optimizer.zero_grad()
                for part in parts:
                    if recorder is not None and self.fault != "no batch told":
                        recorder.batch(self._told(part))
                    self._loss(model, part, weight_S, parts).backward()
                self._before(model)
                optimizer.step()
                if self.fault == "weights changed by hand":
                    with torch.no_grad():
                        next(model.parameters()).mul_(0.9)
                if scheduler is not None:
                    scheduler.step()
                if self.decays:
                    optimizer.param_groups[0]["weight_decay"] = 0.1 * (1 - step / len(self.batches))
        return model

    def _losses(self) -> list[tuple[float, float]]:
        plain = self._plain()
        return [(plain.loss(self._model()), plain.loss(self.run({})))]

    def _model(self) -> nn.Module:
        torch.manual_seed(11)
        return self.world.task.build()

    def _plain(self) -> PlainTraining:
        settings = tribute.TrainingSettings()
        columns, sources = self.world.columns, self.world.source_N
        return PlainTraining(self._model, self.world.task, settings, columns, sources, self.batches, [], 0)

    def _optimizer(self, model: nn.Module) -> Optimizer:
        trained: Any = [p for p in model.parameters() if p.requires_grad]
        other = {
            "another optimizer": lambda: (RMSprop if len(self.batches) % 2 else Adagrad)(trained, lr=0.01),
            "amsgrad": lambda: Adam(trained, lr=0.01, amsgrad=True),
            "maximize": lambda: SGD(trained, lr=0.01, maximize=True),
            "two groups of parameters": lambda: SGD([{"params": [p]} for p in trained], lr=0.01),
            "half of the parameters": lambda: SGD(trained[:1], lr=0.01),
        }
        if self.fault in other:
            return other[self.fault]()
        optimizer = OPTIMIZERS[self.optimizer](trained)
        if self.fault == "steps before the recording":
            self._loss(model, self.batches[0][0], {}, self.batches[0][:1]).backward()
            optimizer.step()
        return optimizer

    def _told(self, part: list[int]) -> list[int]:
        if self.fault == "other examples than told":
            return [(index + 1) % len(self.world.source_N) for index in part]
        return [*part[:-1], 10**6] if self.fault == "an index out of range" else part

    def _loss(
        self, model: nn.Module, part: list[int], weight_S: Mapping[int, float], parts: list[list[int]]
    ) -> Tensor:
        rows = {name: torch.from_numpy(values[part]) for name, values in self.world.columns.items()}
        weights_B = torch.tensor([weight_S.get(int(source), 1.0) for source in self.world.source_N[part]])
        losses_B = weights_B * self.world.task.training_loss(model, rows)
        if self.fault == "another loss":
            losses_B = losses_B.square() + 0.3 * losses_B
        if self.fault == "the loss three times":
            losses_B = losses_B * 3
        return losses_B.sum() / sum(map(len, parts)) if self.uneven else losses_B.mean() / len(parts)

    def _before(self, model: nn.Module) -> None:
        if self.clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), self.clip)
        if self.fault == "clipping untold":
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        if self.fault == "clipping by value":
            nn.utils.clip_grad_value_(model.parameters(), 1e-3)


def drawn_recorded(chance: Chance, faulty: bool) -> RecordedStudy:
    """A recorded loop, which may be none that can be replayed."""
    fault = chance.of(FAULTS) if faulty else ""
    models = ("dropout",) if fault == "dropout" else OF_LOOPS
    if fault == "half of the parameters":
        models = ("mlp", "lstm", "residual")
    world = drawn_world(chance, models=tuple(sorted(models)), most=4)
    count = len(world.source_N)
    size = chance.whole(3, min(count - 1, 10))  # less than all: the same set in another order is the same
    optimizer = chance.of(["adam", "adamw"]) if fault == "steps before the recording" else chance.of(OPTIMIZERS)
    cut = chance.mixed([(3, "whole"), (1, "halves"), (1, "uneven")])
    cut = "uneven" if fault == "uneven parts untold" else "whole" if fault else cut
    batches = []
    for _ in range(chance.whole(3, 9)):
        rows = chance.numbers.permutation(count)[:size].tolist()
        half = max(1, size // 2)
        halves = [rows[:half], rows[half : 2 * half]]
        batches.append({"whole": [rows], "halves": halves, "uneven": [rows[:1], rows[1:]]}[cut])
    clip = chance.of([None, None, 0.5]) if not fault else None
    schedule = "none" if optimizer == "sgd" or fault in OTHER_OPTIMIZERS else chance.of(SCHEDULES)
    decays = not fault and chance.happens(0.2)
    kinds = [*world.kinds, f"recorded: {optimizer}", f"schedule: {schedule}", f"parts: {cut}"]
    return RecordedStudy(
        kinds,
        fault,
        world=world,
        optimizer=optimizer,
        schedule=schedule,
        batches=batches,
        clip=clip,
        decays=decays,
    )
