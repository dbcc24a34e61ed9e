"""Recorded loops and checkpoints: evaluated and valued by replays, or by further training, against plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import tribute
from tests.unit.study.conftest import BY_SOURCE, QUERIES, TASK
from tribute.errors import ConfigError
from tribute.study.evaluation import _lost
from tribute.study.examples import query_table
from tribute.training import BatchOrder

RATE, MOMENTUM, STEPS, FURTHER = 0.2, 0.5, 14, 5
SOURCES = ("a", "b", "c")


def batches(seed: int, examples: int) -> list[Tensor]:
    """Batches of examples in some order."""
    drawn = torch.Generator().manual_seed(seed)
    return [torch.randperm(examples, generator=drawn)[:16] for _ in range(STEPS)]


def built(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return TASK.build()


def optimizer_of(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)


def step(
    study: tribute.Study, model: nn.Module, optimizer: torch.optim.SGD, indices: Tensor, without: int
) -> None:
    """A step on some examples, those of a source with the weight 0; -1: of none."""
    batch = {name: torch.from_numpy(values)[indices] for name, values in study.data.columns.items()}
    weight_B = (torch.from_numpy(study.data.source_N)[indices] != without).float()
    optimizer.zero_grad()
    (TASK.training_loss(model, batch) * weight_B).mean().backward()
    optimizer.step()


def measured(model: nn.Module) -> np.ndarray:
    """Measurements of the queries, [Q] nats."""
    with torch.no_grad():
        return TASK.measurement(model, {n: torch.as_tensor(v) for n, v in QUERIES.items()}).double().numpy()


@pytest.fixture(scope="module")
def recorded() -> tribute.Study:
    """Two recorded loops."""
    study = tribute.Study(TASK, BY_SOURCE, valuation=tribute.ValuationSettings(budget=2, resamples=200))
    for seed in range(2):
        model = built(seed)
        optimizer = optimizer_of(model)
        with study.record(model, optimizer) as recorder:
            for indices in batches(seed, len(study.data)):
                recorder.batch(indices)
                step(study, model, optimizer, indices, without=-1)
    return study


@pytest.fixture(scope="module")
def checkpoint() -> tribute.Study:
    """A model of which only the parameters are left."""
    study, model = tribute.Study(TASK, BY_SOURCE), built(3)
    optimizer = optimizer_of(model)
    for indices in batches(3, len(study.data)):
        step(study, model, optimizer, indices, without=-1)
    return tribute.Study.from_checkpoint(
        TASK,
        BY_SOURCE,
        model,
        training=tribute.TrainingSettings(optimizer="sgd", momentum=MOMENTUM, batch_size=16, replicates=2),
        simulation=tribute.SimulationSettings(base="continue", steps=FURTHER, learning_rate=RATE),
        valuation=tribute.ValuationSettings(budget=2, resamples=200),
    )


@pytest.mark.parametrize("replicate", [0, 1])
def test_a_recording_without_a_source_is_the_loop_with_its_weights_at_0(
    recorded: tribute.Study, replicate: int
) -> None:
    def end(without: int) -> np.ndarray:
        model = built(replicate)
        optimizer = optimizer_of(model)
        for indices in batches(replicate, len(recorded.data)):
            step(recorded, model, optimizer, indices, without)
        return measured(model)

    table = query_table(QUERIES, recorded.data, None, None)
    seed = recorded.training.seed + replicate
    lost_QU = _lost(recorded, seed, [(source,) for source in range(3)], table)
    loop_QU = np.stack([end(-1) - end(source) for source in range(3)], 1)
    assert np.abs(lost_QU - loop_QU).max() < 1e-4 < np.abs(loop_QU).max()


@pytest.mark.parametrize("seed", [0, 7])
def test_a_checkpoint_without_a_source_is_trained_further_from_it(checkpoint: tribute.Study, seed: int) -> None:
    path = checkpoint.training.checkpoint
    assert path is not None

    def end(without: int) -> np.ndarray:
        model = built(0)
        model.load_state_dict(load_file(path))
        optimizer = optimizer_of(model)
        order = BatchOrder(len(checkpoint.data), 16, seed)
        for number in range(FURTHER):
            step(checkpoint, model, optimizer, torch.from_numpy(order.indices(number)), without)
        return measured(model)

    table = query_table(QUERIES, checkpoint.data, None, None)
    lost_QU = _lost(checkpoint, seed, [(source,) for source in range(3)], table)
    loop_QU = np.stack([end(-1) - end(source) for source in range(3)], 1)
    assert np.abs(lost_QU - loop_QU).max() < 1e-4 < np.abs(loop_QU).max()


def test_a_report_says_that_recordings_were_replayed_and_how_exactly(recorded: tribute.Study) -> None:
    report = recorded.evaluate(QUERIES, subsets=10)
    assert report.retrains == 2 * 3 + 2 * 3  # three sources, and their three halves, of two recordings
    assert report.drift is not None and report.drift < 1e-5
    assert f"12 replays of the recordings, {report.queries} scored queries; replays end within" in report.title
    judged = {str(row["measure"]) for row in report.rows()}
    assert judged >= {"LDS, halves, other seed", "LDS, halves, same seed", "leave-one-out correlation"}


def test_one_recording_is_judged_by_no_other_seed(tmp_path: Path) -> None:
    study, model = tribute.Study(TASK, BY_SOURCE, folder=tmp_path), built(0)
    optimizer = optimizer_of(model)
    with study.record(model, optimizer) as recorder:
        for indices in batches(0, len(study.data)):
            recorder.batch(indices)
            step(study, model, optimizer, indices, without=-1)
    report = study.evaluate(QUERIES, subsets=10)
    assert report.retrains == 3 + 3
    assert not [row for row in report.rows() if "other seed" in str(row["measure"])]
    assert report.value_scores.pool.ceiling is None
    with pytest.raises(ConfigError, match="Nothing was recorded under seed 1, but under 0"):
        _lost(study, 1, [(0,)], query_table(QUERIES, study.data, None, None))


def test_a_report_says_that_a_checkpoint_was_trained_further(checkpoint: tribute.Study) -> None:
    report = checkpoint.evaluate(QUERIES, subsets=10)
    assert report.retrains == 2 * 3 + 2 * 3 and report.drift is None
    assert "against 12 further trainings of the checkpoint, 12 scored queries" in str(report)


def test_what_no_recording_has_is_not_replayed(checkpoint: tribute.Study) -> None:
    """An estimator pays, and the simulation beside it would replay steps that nobody recorded."""
    ekfac, path = tribute.SimulationSettings(mode="ekfac"), checkpoint.training.checkpoint
    assert path is not None
    study = tribute.Study.from_checkpoint(TASK, BY_SOURCE, path, training=checkpoint.training, simulation=ekfac)
    with pytest.raises(ConfigError, match="no recorded steps to replay"):
        study.attribute(QUERIES, "paired")


def test_another_seed_gives_recordings_other_folders(recorded: tribute.Study) -> None:
    """Under it a seed is that of another recording."""
    shifted = recorded.training.model_copy(update={"seed": 1})
    names = [
        tribute.Study(TASK, BY_SOURCE, training=each).runs.folder.name for each in (recorded.training, shifted)
    ]
    assert names[0] == recorded.runs.folder.name != names[1]


@pytest.mark.parametrize("kind", ["recorded", "checkpoint"])
def test_values_learn_from_trainings_without_sources(kind: str, request: pytest.FixtureRequest) -> None:
    study: tribute.Study = request.getfixturevalue(kind)
    values = study.value(study.attribute(QUERIES))
    assert values.cost.retrains == len(values.calibration["trainings"]) == 2
    assert {each["seed"] for each in values.calibration["trainings"]} <= {0, 1, 2}
