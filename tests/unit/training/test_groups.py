"""Optimizers with several parameter groups, shares of examples, and dropout under recorded seeds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CyclicLR

from tests.unit.simulation.simulated import simulated
from tests.unit.training.small import small_recipe
from tribute.config import SimulationSettings
from tribute.errors import ConfigError
from tribute.simulation.replay_schedule import continue_from
from tribute.tasks import Parameters
from tribute.training import Recipe, Recorder, adopt, recorded_training
from tribute.training.optimizers import Adam, at_the_end
from tribute.training.recording import read_recording

STEPS = 12
Make = Callable[[nn.Module], torch.optim.Optimizer]


class Dropping:
    """The task of `small_recipe` with dropout."""

    def __init__(self) -> None:
        self.plain = small_recipe().task.task
        self.training_loss, self.measurement = self.plain.training_loss, self.plain.measurement

    def build(self) -> nn.Module:
        first, *rest = self.plain.build().children()
        return nn.Sequential(first, nn.Dropout(0.3), *rest)


def halves(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    weights = [value for name, value in model.named_parameters() if name.endswith("weight")]
    return weights, [value for name, value in model.named_parameters() if name.endswith("bias")]


def adamw(model: nn.Module, **options: bool) -> torch.optim.Optimizer:
    """Weights, then nothing, then biases without decay, at another rate and with other moments."""
    weights, biases = halves(model)
    return torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": 0.1},
            {"params": []},
            {"params": biases, "lr": 0.01, "betas": (0.7, 0.8), "weight_decay": 0.0},
        ],
        lr=0.03,
        **options,
    )


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    weights, biases = halves(model)
    return torch.optim.SGD(
        [{"params": biases, "momentum": 0.9}, {"params": weights, "weight_decay": 0.01}], lr=0.1
    )


@dataclass(frozen=True)
class Loop:
    """A loop of unequal micro-batches whose loss is a weighted sum over all examples of a step."""

    folder: Path
    make: Make = adamw
    task: object = None
    clip_norm: float | None = None
    seed: int | None = None

    def run(self, *, removed: int | None = None, model: nn.Module | None = None) -> Parameters:
        """Train, and record unless a source is removed, whose losses are then left out of the sums."""
        data, task = small_recipe().data, self.task or small_recipe().task.task
        if model is None:
            torch.manual_seed(4)
            model = task.build()
        optimizer = self.make(model)
        lowest = [0.01, 0.002, 0.02][: len(optimizer.param_groups)]
        scheduler = CyclicLR(optimizer, lowest, 0.05, step_size_up=4, cycle_momentum=False)
        records = removed is None
        recorder = Recorder(self.folder, model, optimizer, self.clip_norm, 5, seed=self.seed) if records else None
        order = np.random.default_rng(2)
        for _ in range(STEPS):
            optimizer.zero_grad()
            indices = order.choice(len(data), 7, replace=False)
            shares = order.random(7) / 7
            for part in (slice(0, 5), slice(5, 7)):
                if recorder is not None:
                    recorder.batch(indices[part], shares[part])
                rows, source_B = data.batch(indices[part], torch.device("cpu"))
                losses_B = cross_entropy(model(rows["features"]), rows["labels"], reduction="none")
                kept_B = torch.from_numpy(shares[part]).to(losses_B) * (
                    source_B != (-1 if removed is None else removed)
                )
                (losses_B * kept_B).sum().backward()
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), self.clip_norm)
            optimizer.step()
            scheduler.step()
        if recorder is not None:
            recorder.close()
        return {name: value.detach().clone() for name, value in model.named_parameters()}

    @property
    def recipe(self) -> Recipe:
        small, training = small_recipe(), recorded_training(self.folder)
        task = self.task or small.task.task
        return replace(small, task_settings=task, training=training, recording=self.folder)


LOOPS = {
    "adamw": {},
    "sgd": {"make": sgd},
    "clipped": {"clip_norm": 0.2},
    "fused": {"make": lambda model: adamw(model, fused=True)},
    "foreach": {"make": lambda model: adamw(model, foreach=True)},
    "one by one": {"make": lambda model: adamw(model, foreach=False)},
}


def same(found: Parameters, expected: Parameters) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("options", LOOPS.values(), ids=list(LOOPS))
def test_groups_and_shares_are_replayed(tmp_path: Path, options: dict) -> None:
    loop = Loop(tmp_path / "theirs", **options)
    final = loop.run()
    trajectory = adopt(loop.recipe, tmp_path / "ours")
    same(trajectory.load(STEPS).theta, final)
    assert len(read_recording(loop.folder).groups) == 1


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("make", [adamw, sgd])
def test_without_a_source_the_others_keep_their_shares(tmp_path: Path, make: Make) -> None:
    loop = Loop(tmp_path / "theirs", make)
    final = loop.run()
    recipe = loop.recipe
    start = adopt(recipe, tmp_path / "ours").load(0)
    found = simulated(recipe, start=start)
    for source in range(2):
        without = loop.run(removed=source)
        weights_S = torch.ones(3).index_fill(0, torch.tensor(source), 0.0)
        same(recipe.run(start, range(STEPS), weights_S).theta, without)
        change = torch.cat([(final[name] - without[name]).flatten() for name in recipe.task.shapes])
        torch.testing.assert_close(found.response_KP[source], change, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("float64")
def test_dropout_is_drawn_again_under_the_recorded_seeds(tmp_path: Path) -> None:
    loop = Loop(tmp_path / "theirs", task=Dropping(), seed=5)
    final = loop.run()
    same(adopt(loop.recipe, tmp_path / "ours").load(STEPS).theta, final)
    seeds = [each.seed for passes in read_recording(loop.folder).order.recorded for each in passes]
    assert len(set(seeds)) == 2 * STEPS


def test_without_dropout_no_seed_is_recorded(tmp_path: Path) -> None:
    loop = Loop(tmp_path, seed=5)
    loop.run()
    assert {each.seed for passes in read_recording(tmp_path).order.recorded for each in passes} == {None}


@pytest.mark.usefixtures("float64")
def test_continuing_takes_the_optimizer_of_each_group_at_one_rate(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.run()
    recipe = loop.recipe
    rule = continue_from(recipe, SimulationSettings(base="continue", learning_rate=0.5), {}).rule
    for name in recipe.task.shapes:
        found = at_the_end(recipe.rule.optimizer_of(name))
        assert isinstance(found, Adam)
        assert rule.optimizer_of(name) == found
        assert found.betas == ((0.9, 0.999) if name.endswith("weight") else (0.7, 0.8))
        assert rule.rate_of(name, 0.5, 3) == 0.5
        assert recipe.rule.rate_of(name, 0.5, 3) != 0.5 or name.endswith("weight")


@pytest.mark.parametrize(
    ("shares", "message"), [([0.5], "for 2 examples"), ([0.5, -1.0], "-1.0"), ([0.5, float("nan")], "nan")]
)
def test_shares_that_are_none_are_refused(tmp_path: Path, shares: list[float], message: str) -> None:
    model = nn.Linear(2, 1)
    recorder = Recorder(tmp_path / "r", model, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ConfigError, match=f"recorder.batch got the shares .*{message}"):
        recorder.batch([0, 1], shares)


def test_shares_are_of_all_micro_batches(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = Recorder(tmp_path / "r", model, optimizer)
    for shares in (None, [0.5, 0.5]):
        recorder.batch([0, 1], shares)
        model(torch.ones(2, 2)).sum().backward()
    with pytest.raises(ConfigError, match="step 0 has shares of some micro-batches only"):
        optimizer.step()


def test_an_idle_parameter_of_a_group_with_decay_is_refused(tmp_path: Path) -> None:
    model = nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)])
    idle, used = ([*layer.parameters()] for layer in model)
    optimizer = torch.optim.SGD([{"params": used}, {"params": idle, "weight_decay": 0.1}], lr=0.1)
    recorder = Recorder(tmp_path / "r", model, optimizer)
    recorder.batch([0])
    model[1](torch.ones(1, 2)).sum().backward()
    with pytest.raises(ConfigError, match=r"step 0 has no gradient for 0.weight, 0.bias"):
        optimizer.step()
