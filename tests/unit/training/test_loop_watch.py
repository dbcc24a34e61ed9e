"""Loops as people write them: each is replayed to where it arrived, or refused at its first step by the cause."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR

from tests.unit.simulation.simulated import simulated
from tests.unit.training.small import small_recipe
from tribute.errors import ConfigError
from tribute.tasks import joined
from tribute.training import Recipe, Recorder, adopt
from tribute.training.recording import read_recording

STEPS = 20
Make = Callable[[Any], Optimizer]


@dataclass
class Loop:
    """A loop over random batches; `uneven` cuts each into parts of 8, 8 and 3 examples."""

    folder: Path
    make: Make
    model: nn.Module | None = None
    clip: Callable[[nn.Module], object] | None = None
    schedule: Callable[[Optimizer], LRScheduler] | None = None
    each: Callable[[int, Optimizer, nn.Module], object] | None = None
    uneven: bool = False
    skipped: tuple[int, ...] = ()
    scaled: bool = False
    reset_late: bool = False
    steps: int = STEPS

    def run(self, **options: Any) -> torch.Tensor:
        """Train and record; the final parameters."""
        self.data = small_recipe().data
        torch.manual_seed(3)
        model = self.model or small_recipe().task.task.build()
        optimizer = self.make([p for p in model.parameters() if p.requires_grad])
        scheduler = self.schedule(optimizer) if self.schedule else None
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, enabled=self.scaled)
        recorder = Recorder(self.folder, model, optimizer, **options)
        order = np.random.default_rng(5)
        for step in range(self.steps):
            indices = order.choice(len(self.data), 19 if self.uneven else 16, replace=False)
            parts = [indices[:8], indices[8:16], indices[16:]] if self.uneven else [indices]
            if not self.reset_late:
                optimizer.zero_grad()
            for index, part in enumerate(parts):
                recorder.batch(part.tolist())
                if self.reset_late and not index:
                    optimizer.zero_grad()
                rows, _ = self.data.batch(part, torch.device("cpu"))
                loss = cross_entropy(model(rows["features"]), rows["labels"], reduction="sum") / len(indices)
                scaler.scale(loss * (float("inf") if step in self.skipped else 1)).backward()
            if self.scaled:
                scaler.unscale_(optimizer)
            if self.clip:
                self.clip(model)
            if self.each:
                self.each(step, optimizer, model)
            if self.scaled:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
            if scheduler:
                scheduler.step()
        recorder.close()
        return nn.utils.parameters_to_vector([p for p in model.parameters() if p.requires_grad]).detach()

    def recipe(self) -> Recipe:
        small, settings = small_recipe(), dict(read_recording(self.folder).settings)
        training = small.training.model_validate(settings | {"betas": tuple(settings.get("betas", (0.9, 0.99)))})
        return Recipe(small.task_settings, training, small.data, 0, recording=self.folder)


def clipped(norm: float) -> Callable[[nn.Module], object]:
    return lambda model: nn.utils.clip_grad_norm_(model.parameters(), norm)


def one_cycle(optimizer: Optimizer) -> LRScheduler:
    return OneCycleLR(optimizer, 0.1, total_steps=STEPS + 1)


def cyclic(optimizer: Optimizer) -> LRScheduler:
    return CyclicLR(optimizer, 0.01, 0.1, step_size_up=5, cycle_momentum=True)


def decaying(step: int, optimizer: Optimizer, _model: nn.Module) -> None:
    optimizer.param_groups[0]["weight_decay"] = 0.3 * (1 - step / STEPS)


def adamw(parameters: Any) -> Optimizer:
    return AdamW(parameters, lr=0.02, weight_decay=0.1)


def sgd(parameters: Any) -> Optimizer:
    return SGD(parameters, lr=0.1, momentum=0.9)


REPLAYED = {
    "one cycle, adamw": ({"make": adamw, "schedule": one_cycle}, {}),
    "one cycle, sgd": ({"make": sgd, "schedule": one_cycle}, {}),
    "cyclic momentum": ({"make": sgd, "schedule": cyclic}, {}),
    "decay by schedule": ({"make": adamw, "each": decaying}, {}),
    "coupled decay by schedule": ({"make": lambda p: Adam(p, lr=0.02), "each": decaying}, {}),
    "clipped": ({"make": adamw, "clip": clipped(0.05)}, {"clip_norm": 0.05}),
    "sums over a total": ({"make": sgd, "uneven": True}, {"average": "examples"}),
    "sums over a total, clipped": (
        {"make": adamw, "uneven": True, "clip": clipped(0.05)},
        {"average": "examples", "clip_norm": 0.05},
    ),
    "scaler": ({"make": sgd, "scaled": True}, {}),
    "scaler that skips": ({"make": sgd, "scaled": True, "skipped": (0, 3, 4, 17)}, {}),
    "scaler that skips, adamw": ({"make": adamw, "scaled": True, "skipped": (2,)}, {}),
    "scaler that skips, clipped": (
        {"make": sgd, "scaled": True, "skipped": (3,), "clip": clipped(0.1)},
        {"clip_norm": 0.1},
    ),
    "scaler that skips, gradients reset after the batch is named": (
        {"make": sgd, "scaled": True, "skipped": (3, 9), "reset_late": True},
        {},
    ),
    "scaler that skips a sum of parts": (
        {"make": sgd, "scaled": True, "skipped": (3,), "uneven": True},
        {"average": "examples"},
    ),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("loop", "options"), REPLAYED.values(), ids=list(REPLAYED))
def test_what_can_be_replayed_arrives_where_the_loop_did(tmp_path: Path, loop: dict, options: dict) -> None:
    own = Loop(tmp_path / "theirs", **loop)
    final_P, recipe = own.run(**options), own.recipe()
    assert recipe.steps == STEPS - len(own.skipped)
    start = adopt(recipe, tmp_path / "ours").load(0)
    found = simulated(recipe, start=start)
    torch.testing.assert_close(found.theta_P, final_P, rtol=1e-8, atol=1e-10)
    for source in range(2):
        weights_S = torch.tensor([float(s != source) for s in range(3)])
        without_P = joined(recipe.run(start, range(recipe.steps), weights_S).theta)
        torch.testing.assert_close(found.response_KP[source], final_P - without_P, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("float64")
def test_a_sum_of_parts_without_a_source_is_what_plain_pytorch_gives(tmp_path: Path) -> None:
    own = Loop(tmp_path / "theirs", sgd, uneven=True)
    own.run(average="examples")
    recipe = own.recipe()
    start = adopt(recipe, tmp_path / "ours").load(0)
    found = joined(recipe.run(start, range(STEPS), torch.tensor([0.0, 1.0, 1.0])).theta)
    model = small_recipe().task.task.build()
    nn.utils.vector_to_parameters(joined(start.theta), model.parameters())
    optimizer = sgd(model.parameters())
    for batch in read_recording(own.folder).order.batches:
        indices = np.concatenate(batch)
        rows, source_B = own.data.batch(indices, torch.device("cpu"))
        losses_B = cross_entropy(model(rows["features"]), rows["labels"], reduction="none")
        optimizer.zero_grad()
        ((source_B != 0) * losses_B).mean().backward()
        optimizer.step()
    torch.testing.assert_close(
        found, nn.utils.parameters_to_vector(model.parameters()).detach(), rtol=1e-8, atol=1e-10
    )


class Unused(nn.Module):
    """A layer that forward never calls, beside the model of `small_recipe`."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.pooler = small_recipe().task.task.build(), nn.Linear(5, 5)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.body(features)


class Noisy(Unused):
    """Random numbers in the forward pass that no layer of its own draws."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.body(torch.dropout(features, 0.1, train=self.training))


def with_layer(layer: nn.Module) -> nn.Module:
    first, *rest = small_recipe().task.task.build().children()
    return nn.Sequential(first, layer, *rest)


def clamped(_step: int, _optimizer: Optimizer, model: nn.Module) -> None:
    with torch.no_grad():
        next(model.parameters()).clamp_(-0.1, 0.1)


def unfrozen(step: int, _optimizer: Optimizer, model: nn.Module) -> None:
    if step == 2:
        next(model.parameters()).requires_grad_(False)


def twisted(_step: int, _optimizer: Optimizer, model: nn.Module) -> None:
    next(iter(model.parameters())).grad.mul_(3)  # type: ignore[union-attr]


def width() -> int:
    first = next(small_recipe().task.task.build().children())
    assert isinstance(first, nn.Linear)
    return first.out_features


REFUSED = {
    "unused layer": (
        {"model": Unused, "make": adamw},
        {},
        "step 0 has no gradient for pooler.weight, pooler.b",
    ),
    "dropout": (
        {"model": lambda: with_layer(nn.Dropout(0.1)), "make": sgd},
        {},
        r"step 0 drops out units \(1\) in the forward pass. A replay draws other ones",
    ),
    "functional dropout": (
        {"model": Noisy, "make": sgd},
        {},
        "step 0 draws random numbers in the forward pass",
    ),
    "batch statistics": (
        {"model": lambda: with_layer(nn.BatchNorm1d(width())), "make": sgd},
        {},
        "step 0 changed buffers or frozen parameters: 1.running_mean, 1.running_var, 1.num_batches_tracked",
    ),
    "parts of unequal sizes": (
        {"make": sgd, "uneven": True},
        {},
        "step 0 has micro-batches of 8, 8, 3 examples",
    ),
    "clipping untold": (
        {"make": sgd, "clip": clipped(0.05)},
        {},
        "step 0 scales its gradient to norm 0.0499999.*=0.05",
    ),
    "clipping told, not done": (
        {"make": sgd},
        {"clip_norm": 0.01},
        "step 0 has a gradient of norm .* clip_norm=0.01",
    ),
    "clipped elsewhere": (
        {"make": sgd, "clip": clipped(0.05)},
        {"clip_norm": 0.06},
        "step 0 clips its gradient to norm 0.0499999.* told clip_norm=0.06",
    ),
    "clipped by value": (
        {"make": sgd, "clip": lambda m: nn.utils.clip_grad_value_(m.parameters(), 0.01)},
        {},
        "step 0 changes gradients one by one",
    ),
    "one layer scaled": ({"make": sgd, "each": twisted}, {}, "step 0 changes gradients one by one"),
    "clamped weights": ({"make": sgd, "each": clamped}, {}, "step 0 finds 0.weight changed since the last step"),
    "clipped weights": (
        {"make": sgd, "each": lambda _step, _optimizer, m: next(m.parameters()).data.clamp_(-0.1, 0.1)},
        {},
        "step 0 finds 0.weight changed since the last step",
    ),
    "frozen half way": (
        {"make": sgd, "each": unfrozen},
        {},
        "step 2 trains other parameters than before: 0.w",
    ),
    "not finite": ({"make": sgd, "skipped": (0,)}, {}, "step 0 has a gradient that is not finite"),
}


@pytest.mark.parametrize(("loop", "options", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_replayed_is_refused_at_the_step_by_its_cause(
    tmp_path: Path, loop: dict, options: dict, message: str
) -> None:
    torch.manual_seed(0)
    if "model" in loop:
        loop = loop | {"model": loop["model"]()}
    with pytest.raises(ConfigError, match=message):
        Loop(tmp_path / "theirs", **loop).run(**options)


def test_an_unused_layer_without_decay_stays_where_it_is(tmp_path: Path) -> None:
    torch.manual_seed(0)
    for make in (lambda p: Adam(p, lr=0.02), lambda p: SGD(p, lr=0.1, momentum=0.9)):
        Loop(tmp_path / make(list(nn.Linear(1, 1).parameters())).__class__.__name__, make, model=Unused()).run()


def test_an_optimizer_that_took_steps_before_is_refused(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    optimizer = AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    with pytest.raises(ConfigError, match="The optimizer has taken 1 steps already"):
        Recorder(tmp_path / "r", model, optimizer)


@contextmanager
def hooked(model: nn.Module) -> Iterator[list[int]]:
    counted: list[int] = []
    yield counted
    counted.append(sum(len(p._backward_hooks or {}) for p in model.parameters()) + len(model._forward_hooks))


def test_closing_leaves_no_hook(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    with hooked(model) as counted:
        Recorder(tmp_path / "r", model, SGD(model.parameters(), lr=0.1)).close()
    assert counted == [0]
