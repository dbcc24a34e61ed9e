"""Honest recordings of transformers are adopted, however Adam blows their rounding up; others are not.

The true gradient of an attention's key bias is 0, so Adam moves it by rounding alone.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.recorded_lm import LmLoop
from tribute.training import Drift, Trajectory, adopt
from tribute.training.recording import trace


@pytest.mark.parametrize(("rate", "steps"), [(1e-3, 60), (1e-2, 120)])
def test_an_honest_transformer_is_adopted(tmp_path: Path, rate: float, steps: int) -> None:
    loop = LmLoop(tmp_path / "theirs", steps, rate)
    loop.run()
    ours, theirs = adopt(loop.recipe, tmp_path / "ours"), Trajectory(loop.folder)
    start, end = theirs.load(0).theta, theirs.load(steps).theta
    assert (ours.load(steps).theta - end).norm() < 0.01 * (end - start).norm()


def test_what_is_kept_replays_to_the_end_from_every_state(tmp_path: Path) -> None:
    """To the same bits but across a recorded state (step 100), where the replay returns to the recording."""
    loop = LmLoop(tmp_path / "theirs", 120, 1e-2)
    loop.run()
    ours, apart = adopt(loop.recipe, tmp_path / "ours"), []
    for kept, following in pairwise(ours.steps()):
        again = loop.recipe.run(ours.load(kept), range(kept, following), torch.ones(2)).theta
        wanted = ours.load(following).theta
        apart.append(float((again - wanted).norm() / (wanted - ours.load(kept).theta).norm()))
        assert (apart[-1] > 0) == (kept < 100 < following)
    assert 0 < max(apart) < 0.05


@pytest.mark.parametrize("wrong", [0, 1, 7, 30, 104])
@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_one_wrong_batch_is_caught_at_its_step(tmp_path: Path, rate: float, wrong: int) -> None:
    def other(step: int, indices: np.ndarray) -> np.ndarray:
        return (indices + 1) % 35 if step == wrong else indices

    loop = LmLoop(tmp_path / "theirs", wrong + 6, rate, examples=other)
    loop.run()
    with pytest.raises(Drift) as error:
        adopt(loop.recipe, tmp_path / "ours")
    assert error.value.step == wrong


def test_missing_clipping_is_caught_as_soon_as_adam_sees_it(tmp_path: Path) -> None:
    """Adam's first step hardly depends on the gradient's length; eps sees it all the same."""
    loop = LmLoop(tmp_path / "theirs", 10, 1e-2, clip_norm=0.1, clips=False)
    loop.run()
    with pytest.raises(Drift) as error:
        adopt(loop.recipe, tmp_path / "ours")
    assert error.value.step == 0


def test_an_adoption_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    loop = LmLoop(tmp_path / "theirs", 105, 1e-2)
    loop.run()
    whole, killed = adopt(loop.recipe, tmp_path / "whole"), Trajectory(tmp_path / "killed")
    for step in whole.steps()[:5]:
        killed.save(step, whole.load(step))
    assert adopt(loop.recipe, tmp_path / "killed").steps() == whole.steps()
    assert [killed.sha256(step) for step in whole.steps()] == [whole.sha256(step) for step in whole.steps()]


@pytest.mark.parametrize("size", [5, 16, 1000, 40_003])
def test_traces_are_as_far_apart_as_the_parameters(size: int) -> None:
    one, other = torch.randn(size), torch.randn(size)
    apart = np.sqrt(2) * np.linalg.norm(np.array(trace(one)) - np.array(trace(other)))
    assert len(trace(one)) == 16
    assert 0.3 < apart / float((one - other).norm()) < 1.8
