"""A plain PyTorch loop is recorded so that its replay arrives where it did."""

from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.training.recorded import LOOPS, STEPS, Loop
from tribute.errors import ConfigError
from tribute.tasks import joined
from tribute.training import Recorder, Trajectory, adopt
from tribute.training.recording import read_recording


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("optimizer", "options", "clip_norm"), LOOPS)
@pytest.mark.parametrize("parts", [1, 2])
def test_a_replay_arrives_where_the_users_loop_did(tmp_path, optimizer, options, clip_norm, parts: int) -> None:
    loop = Loop(tmp_path / "theirs", optimizer, options, clip_norm, parts)
    final = loop.run()
    trajectory = adopt(loop.recipe(), tmp_path / "ours")
    torch.testing.assert_close(joined(trajectory.load(STEPS).theta), final, rtol=1e-10, atol=1e-12)
    theirs = Trajectory(loop.folder)
    assert theirs.steps() == [0, 5, 10, 15, 20, STEPS]
    if options:  # without momentum torch keeps none
        for ours, their in zip(trajectory.load(STEPS).slots, theirs.load(STEPS).slots, strict=True):
            torch.testing.assert_close(ours, their, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("optimizer", "options", "clip_norm"), LOOPS)
def test_a_replay_in_float32_stays_within_rounding(tmp_path, optimizer, options, clip_norm) -> None:
    loop = Loop(tmp_path / "theirs", optimizer, options, clip_norm)
    final = loop.run()
    found = joined(adopt(loop.recipe(), tmp_path / "ours").load(STEPS).theta)
    torch.testing.assert_close(found, final, rtol=1e-3, atol=1e-4)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda m: torch.optim.RMSprop(m.parameters()),
            "RMSprop cannot be replayed. Use torch.optim.SGD, Adam or",
        ),
        (lambda m: torch.optim.SGD(m[0].parameters()), "exactly the trainable parameters of the model"),
        (lambda m: torch.optim.Adam(m.parameters(), amsgrad=True), "option amsgrad cannot be replayed"),
        (lambda m: torch.optim.SGD(m.parameters(), maximize=True), "option maximize cannot be replayed"),
        (lambda m: torch.optim.SGD(m.parameters(), momentum=0.9, dampening=0.1), "option dampening cannot"),
    ],
)
def test_an_optimizer_that_cannot_be_replayed_is_refused(tmp_path, make, message: str) -> None:
    module = model()
    with pytest.raises(ConfigError, match=message):
        Recorder(tmp_path / "r", module, make(module))
    assert not (tmp_path / "r").exists()


def test_a_folder_is_used_once_and_a_step_needs_its_batch(tmp_path) -> None:
    module = model()
    optimizer = torch.optim.SGD(module.parameters())
    recorder = Recorder(tmp_path, module, optimizer)
    with pytest.raises(ConfigError, match=r"already holds a recording. Choose another folder"):
        Recorder(tmp_path, module, optimizer)
    module(torch.ones(1, 2)).sum().backward()
    with pytest.raises(ConfigError, match=r"no batch was recorded. Call recorder.batch"):
        optimizer.step()
    recorder.close()
    optimizer.step()
    with pytest.raises(ConfigError, match="has no step"):
        read_recording(tmp_path)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda m: torch.optim.Adam(m.parameters(), weight_decay=0.1), "adam"),
        (lambda m: torch.optim.AdamW(m.parameters()), "adamw"),
        (lambda m: torch.optim.Adam(m.parameters(), weight_decay=0.1, decoupled_weight_decay=True), "adamw"),
    ],
)
def test_decoupled_decay_is_recorded_as_adamw(tmp_path, make, kind: str) -> None:
    module = model()
    Recorder(tmp_path, module, make(module)).close()
    assert f'"optimizer": "{kind}"' in (tmp_path / "recording.json").read_text()


@pytest.mark.parametrize(
    "indices",
    [
        [], [3, -1], [0.5, 1.5], [True, False], torch.tensor([True, False]), np.array([True]), torch.tensor([0.0]),
        "ab", 5, None, torch.arange(4).view(2, 2), [[0, 1]], ["0"],
    ],
    ids=str,
)  # fmt: skip
def test_a_batch_that_is_none_is_refused(tmp_path, indices: object) -> None:
    own = model()
    recorder = Recorder(tmp_path / "rec", own, torch.optim.SGD(own.parameters(), lr=0.1))
    with pytest.raises(ConfigError, match="at least one index into the training set"):
        recorder.batch(indices)


@pytest.mark.parametrize(
    "indices",
    [range(2), (0, 1), {0, 1}, np.arange(2, dtype=np.uint8), torch.arange(2, dtype=torch.int32), iter([0, 1])],
)
def test_whole_numbers_of_any_kind_are_indices(tmp_path, indices: Iterable[int]) -> None:
    own = model()
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    recorder = Recorder(tmp_path / "rec", own, optimizer)
    recorder.batch(indices)
    own(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    recorder.close()
    assert [part.tolist() for part in read_recording(tmp_path / "rec").order.batches[0]] == [[0, 1]]


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused_at_its_step(tmp_path, rate: float) -> None:
    own = model()
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    recorder = Recorder(tmp_path / "rec", own, optimizer)
    optimizer.param_groups[0]["lr"] = rate
    recorder.batch([0])
    own(torch.ones(1, 2)).sum().backward()
    with pytest.raises(ConfigError, match=r"step 0 has the learning rate .*, expected a number of at least 0"):
        optimizer.step()
