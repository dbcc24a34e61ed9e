"""Adopting a recorded training: what is followed, refused, and caught as drift.

Honest recordings of transformers are adopted although Adam amplifies their rounding: the true gradient of an
attention's key bias is 0, so that Adam moves it by rounding alone.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from tests.unit.simulation.simulated import simulated
from tests.unit.training.recorded import ADAM, SGD, STEPS, Loop
from tests.unit.training.recorded_lm import LmLoop
from tests.unit.training.small import small_recipe
from tribute.errors import ConfigError
from tribute.tasks import joined
from tribute.training import Drift, Recipe, Trajectory, adopt, load_checkpoint
from tribute.training.recording import read_recording, trace


def test_other_settings_are_refused_with_the_keys_to_write(tmp_path) -> None:
    loop = Loop(tmp_path / "theirs", "sgd", SGD, 0.5)
    loop.run()
    wrong = loop.recipe(momentum=0.9, nesterov=False, clip_norm=None)
    with pytest.raises(ConfigError, match="recorded with other settings") as e:
        adopt(wrong, tmp_path / "ours")
    lines = str(e.value).partition("Set in `training`:\n")[2].splitlines()
    assert sorted(lines) == ["  clip_norm: 0.5", "  momentum: 0.8", "  nesterov: True"]


def noise(at: int):
    def sabotage(step: int, module: nn.Module, indices: np.ndarray) -> np.ndarray:
        if step == at:
            module[0].weight.data[3, 1] += 0.02
        return indices

    return sabotage


def other_examples(at: int):
    def sabotage(step: int, _model: nn.Module, indices: np.ndarray) -> np.ndarray:
        return (indices + 1) % 40 if step == at else indices

    return sabotage


@pytest.mark.parametrize("step", [0, 13, STEPS - 1])
def test_weights_that_something_else_changes_are_caught_while_recording(tmp_path, step: int) -> None:
    """Also by writing to `.data`, which PyTorch does not count."""
    with pytest.raises(ConfigError, match=f"step {step} finds 0.weight changed since the last step"):
        Loop(tmp_path / "theirs", "sgd", SGD, sabotage=noise(step)).run()


@pytest.mark.parametrize("step", [0, 13, STEPS - 1])
@pytest.mark.parametrize(("optimizer", "options"), [("sgd", SGD), ("adamw", ADAM)])
def test_a_loop_that_secretly_does_something_else_is_caught_at_that_step(
    tmp_path, step: int, optimizer: str, options: dict
) -> None:
    loop = Loop(tmp_path / "theirs", optimizer, options, sabotage=other_examples(step))
    loop.run()
    for _ in range(2):
        with pytest.raises(
            Drift, match=f"drifts from the recording, first at step {step}, by .* Check what"
        ) as error:
            adopt(loop.recipe(), tmp_path / "ours")
        assert error.value.step == step


def test_what_is_no_recording_or_of_another_corpus_or_model_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"holds no recorded training .* `tribute.training.Recorder`"):
        read_recording(tmp_path / "none")
    loop = Loop(tmp_path / "theirs")
    loop.run()
    recipe = loop.recipe()
    with pytest.raises(ConfigError, match=r"recorded example \d+, but the corpus has 30 training examples"):
        read_recording(loop.folder).schedule(30)
    wider = recipe.task_settings.model_copy(update={"options": {"features": 4, "hidden": [9], "classes": 2}})
    with pytest.raises(ConfigError, match=r"other parameters than the task has: 0.weight, 0.bias, 2.weight"):
        adopt(Recipe(wider, recipe.training, recipe.data, 0, recording=loop.folder), tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


@pytest.mark.usefixtures("float64")
def test_a_simulation_of_an_adopted_training_replays_it_without_the_source(tmp_path) -> None:
    loop = Loop(tmp_path / "theirs", "adamw", ADAM, 0.2)
    final, recipe = loop.run(), loop.recipe()
    start = adopt(recipe, tmp_path / "ours").load(0)
    found = simulated(recipe, start=start)
    torch.testing.assert_close(found.theta_P, final, rtol=1e-10, atol=1e-12)
    for source in range(3):
        weights_S = torch.tensor([float(s != source) for s in range(3)])
        without = joined(recipe.run(start, range(STEPS), weights_S).theta)
        torch.testing.assert_close(found.response_KP[source], final - without, rtol=1e-8, atol=1e-10)


def test_a_checkpoint_is_loaded_by_name_or_refused(tmp_path) -> None:
    recipe = small_recipe(optimizer="adam")
    module = recipe.task.task.build().double()
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(dict(reversed(module.state_dict().items())), path)
    state = load_checkpoint(recipe, path)
    expected = nn.utils.parameters_to_vector(module.parameters()).detach().float()
    torch.testing.assert_close(joined(state.theta), expected, rtol=0, atol=0)
    assert [joined(slot).abs().sum().item() for slot in state.slots] == [0, 0]
    with pytest.raises(ConfigError, match=r"training.checkpoint .*none cannot be read as safetensors"):
        load_checkpoint(recipe, tmp_path / "none")
    del (named := module.state_dict())["2.bias"]
    safetensors.torch.save_file(named, path)
    with pytest.raises(ConfigError, match=r"lacks 1 that the task has: 2.bias\. Set task.options"):
        load_checkpoint(recipe, path)


@pytest.mark.parametrize(("rate", "steps"), [(1e-3, 60), (1e-2, 120)])
def test_an_honest_transformer_is_adopted(tmp_path: Path, rate: float, steps: int) -> None:
    loop = LmLoop(tmp_path / "theirs", steps, rate)
    loop.run()
    ours, theirs = adopt(loop.recipe, tmp_path / "ours"), Trajectory(loop.folder)
    start, end = joined(theirs.load(0).theta), joined(theirs.load(steps).theta)
    assert (joined(ours.load(steps).theta) - end).norm() < 0.01 * (end - start).norm()


def test_what_is_kept_replays_to_the_end_from_every_state(tmp_path: Path) -> None:
    """To the same bits but across a recorded state (step 100), where the replay returns to the recording."""
    loop = LmLoop(tmp_path / "theirs", 120, 1e-2)
    loop.run()
    ours, apart = adopt(loop.recipe, tmp_path / "ours"), []
    for kept, following in pairwise(ours.steps()):
        again = joined(loop.recipe.run(ours.load(kept), range(kept, following), torch.ones(2)).theta)
        wanted = joined(ours.load(following).theta)
        apart.append(float((again - wanted).norm() / (wanted - joined(ours.load(kept).theta)).norm()))
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


def test_missing_clipping_is_refused_at_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at step 0 has a gradient of norm .* clip_norm=0.1\."):
        LmLoop(tmp_path / "theirs", 10, 1e-2, clip_norm=0.1, clips=False).run()


def test_a_loss_of_another_size_is_named_by_its_factor(tmp_path: Path) -> None:
    loop = Loop(tmp_path / "theirs", parts=2)
    loop.run()
    lines = [json.loads(line) for line in (loop.folder / "steps.jsonl").read_text().splitlines()]
    start = np.array(trace(Trajectory(loop.folder).load(0).theta))
    lines[0]["trace"] = (start + 2 * (np.array(lines[0]["trace"]) - start)).tolist()
    (loop.folder / "steps.jsonl").write_text("\n".join(map(json.dumps, lines)))
    read_recording.cache_clear()
    with pytest.raises(Drift, match="The recorded step is 2 times as long in the same direction: let the loss be"):
        adopt(loop.recipe(), tmp_path / "ours")


def test_an_adoption_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    loop = LmLoop(tmp_path / "theirs", 105, 1e-2)
    loop.run()
    whole, killed = adopt(loop.recipe, tmp_path / "whole"), Trajectory(tmp_path / "killed")
    for step in whole.steps()[:5]:
        killed.save(step, whole.load(step))
    assert adopt(loop.recipe, tmp_path / "killed").steps() == whole.steps()
    assert [killed.sha256(step) for step in whole.steps()] == [whole.sha256(step) for step in whole.steps()]
