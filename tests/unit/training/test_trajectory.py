"""Recording: same seed, same bits; a killed training goes on to the same bits."""

import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.errors import DamagedFile
from tribute.tasks import joined
from tribute.training import NonFinite, Trajectory, checkpoint_steps, record


class Killed(Exception):
    pass


def bits(trajectory):
    return {step: trajectory.path(step).read_bytes() for step in trajectory.steps()}


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(tmp_path) -> None:
    first = record(small_recipe(seed=1), tmp_path / "a")
    again = record(small_recipe(seed=1), tmp_path / "b")
    other = record(small_recipe(seed=2), tmp_path / "c")
    assert bits(first) == bits(again)
    assert bits(first) != bits(other)
    assert first.steps() == sorted({0, *checkpoint_steps(small_recipe())})


@pytest.mark.parametrize("after", [1, 7, 13])
def test_a_training_killed_at_any_step_ends_with_the_same_bits(tmp_path, after: int) -> None:
    whole = record(small_recipe(optimizer="adamw"), tmp_path / "whole")

    def die(step, _state):
        if step == after:
            raise Killed

    with pytest.raises(Killed):
        record(small_recipe(optimizer="adamw"), tmp_path / "cut", die)
    resumed_from = []
    resumed = record(small_recipe(optimizer="adamw"), tmp_path / "cut", lambda step, _: resumed_from.append(step))
    assert bits(resumed) == bits(whole)
    assert resumed_from[0] > 1 or after == 1


def test_leaving_the_finite_numbers_names_the_step(tmp_path) -> None:
    with pytest.raises(NonFinite, match=r"at step .* of 20"):
        record(small_recipe(learning_rate=1e30, epochs=4), tmp_path)


def test_replaying_from_any_checkpoint_arrives_at_the_recorded_end(tmp_path) -> None:
    recipe = small_recipe()
    trajectory = record(recipe, tmp_path)
    final = joined(trajectory.load(recipe.steps).theta)
    for step in trajectory.steps():
        replayed = recipe.run(trajectory.load(step), range(step, recipe.steps), torch.ones(3))
        assert torch.equal(joined(replayed.theta), final)


@pytest.mark.parametrize("lost", [[0], [-1], [2], [0, -1], [1, 2]])
def test_lost_and_damaged_states_are_made_again_to_the_same_bits(tmp_path, lost: list[int]) -> None:
    trajectory = record(small_recipe(optimizer="adamw"), tmp_path)
    whole, steps = bits(trajectory), trajectory.steps()
    for number, place in enumerate(lost):
        path = trajectory.path(steps[place])
        if number % 2:
            path.write_bytes(path.read_bytes()[:-1] + b"x")
            with pytest.raises(DamagedFile, match="is damaged"):
                trajectory.load(steps[place])
        else:
            path.unlink()
            assert not trajectory.whole(steps[-1])
    assert bits(record(small_recipe(optimizer="adamw"), tmp_path)) == whole
    assert trajectory.whole(steps[-1])


def test_no_state_before_the_horizon_is_a_lost_file(tmp_path) -> None:
    with pytest.raises(DamagedFile, match=r"step-00000000.safetensors is missing\. tribute simulate"):
        Trajectory(tmp_path).last_before(3)
