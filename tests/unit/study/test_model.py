"""Trainings that were done elsewhere: a recorded loop, and a bare checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import tribute
from tests.unit.study.conftest import BY_SOURCE, QUERIES, TASK, TRAINING
from tribute.errors import ConfigError


def loop(study: tribute.Study, seed: int, dropped: bool = False) -> nn.Module:
    """A loop of plain PyTorch over the examples of a study; `dropped` trains on other examples than it records."""
    torch.manual_seed(seed)
    model = TASK.build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    features, labels = (torch.from_numpy(study.data.columns[name]) for name in ("features", "labels"))
    with study.record(model, optimizer) as recorder:
        for indices in torch.randperm(len(labels)).split(16)[:5]:
            recorder.batch(indices)
            used = indices + 1 if dropped else indices
            cross_entropy(model(features[used % len(labels)]), labels[used % len(labels)]).backward()
            optimizer.step()
            optimizer.zero_grad()
    return model


def test_a_recorded_loop_is_valued_like_a_training() -> None:
    study = tribute.Study(TASK, BY_SOURCE)
    loop(study, 0), loop(study, 1)
    assert (study.training.optimizer, study.training.momentum, len(study.replicates)) == ("sgd", 0.9, 2)
    values = study.value(study.attribute(QUERIES), budget=4)
    trainings = values.calibration["trainings"]
    assert values.cost.retrains == len(trainings) > len(BY_SOURCE)
    assert {each["seed"] for each in trainings} == {each.seed for each in study.replicates}
    assert sum(values.shares().exact.values()) == 1


def test_a_loop_that_trained_on_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"is not that of the task's training_loss\. Use one loss in both"):
        loop(tribute.Study(TASK, BY_SOURCE), 0, dropped=True)


@pytest.mark.parametrize("times", [16, 0.5])
def test_a_sum_instead_of_a_mean_is_named_at_the_first_step(times: float) -> None:
    study = tribute.Study(TASK, BY_SOURCE)
    model, rows = TASK.build(), torch.arange(16)
    features, labels = (torch.from_numpy(study.data.columns[name])[:16] for name in ("features", "labels"))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    told = f"first step is {times:g} times that of the task's training_loss"
    with pytest.raises(ConfigError, match=told), study.record(model, optimizer) as recorder:
        recorder.batch(rows)
        (times * cross_entropy(model(features), labels)).backward()
        optimizer.step()


def test_a_recorded_loop_over_fewer_examples_than_a_batch_of_the_settings_is_valued() -> None:
    """Batches are those of the loop, whatever `training.batch_size` is; its cost is in steps of the loop."""
    few = {name: {column: values[:5] for column, values in own.items()} for name, own in BY_SOURCE.items()}
    study = tribute.Study(TASK, few)
    assert len(study.data) < study.training.batch_size
    model = TASK.build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    features, labels = (torch.from_numpy(study.data.columns[name]) for name in ("features", "labels"))
    with study.record(model, optimizer) as recorder:
        for _ in range(6):
            recorder.batch(range(len(labels)))
            optimizer.zero_grad()
            cross_entropy(model(features), labels).backward()
            optimizer.step()
    assert np.isfinite(study.attribute(QUERIES).influence_QS).all()
    assert study.runs.recipe.steps == 6


@pytest.mark.parametrize("rows", [[0, 10**9], [-1], []])
def test_a_batch_outside_the_examples_is_refused_when_it_is_told(rows: list[int]) -> None:
    study, model = tribute.Study(TASK, BY_SOURCE), TASK.build()
    told = rf"expects at least one index into the training set, from 0 to {len(study.data) - 1:,}\."
    with (
        pytest.raises(ConfigError, match=told),
        study.record(model, torch.optim.SGD(model.parameters(), lr=0.1)) as recorder,
    ):
        recorder.batch(rows)


def test_recordings_are_found_again_in_the_folder(tmp_path: Path) -> None:
    study = tribute.Study(TASK, BY_SOURCE, folder=tmp_path)
    loop(study, 0)
    again = tribute.Study(TASK, BY_SOURCE, training=study.training, folder=tmp_path)
    again.train()
    assert again.replicates[0].sha256 == study.replicates[0].sha256


def test_a_checkpoint_is_continued_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = TASK.build()
    safetensors.torch.save_file(module.state_dict(), tmp_path / "model.safetensors")
    further = tribute.SimulationSettings(base="continue", steps=10)
    found = [
        tribute.Study.from_checkpoint(TASK, BY_SOURCE, given, training=TRAINING, simulation=further)
        for given in (module, module.state_dict(), tmp_path / "model.safetensors")
    ]
    influences = [study.attribute(QUERIES).influence_QS for study in found]
    assert all(np.array_equal(influences[0], influence) for influence in influences)
    values = found[0].value(found[0].attribute(QUERIES))
    assert values.cost.retrains == len(values.calibration["trainings"]) > 0


@pytest.mark.parametrize(
    ("checkpoint", "options", "message"),
    [
        ("nowhere.safetensors", {}, "does not exist. Give a module"),
        (nn.Linear(2, 2), {}, "has 2 that the task lacks: bias, weight"),
        (nn.Linear(2, 2), {"simulation": tribute.SimulationSettings()}, "no recorded steps to replay"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_refused(checkpoint: object, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tribute.Study.from_checkpoint(TASK, BY_SOURCE, checkpoint, **options)  # type: ignore[arg-type]
