"""A training run again: the same states, every group's part of every batch, and stretches of its steps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.estimators.small import loss_gradient, small_training, sources
from tribute.estimators import Groups
from tribute.estimators.replay import batch_gradients, micro_batches_of, replayed, stretches
from tribute.tasks import combined, joined
from tribute.training import gradient


def test_the_replay_is_the_training_to_the_bit(tmp_path: Path) -> None:
    trained = small_training(tmp_path, optimizer="adamw", clip_norm=1.0)
    for kept in trained.trajectory.steps()[1:-1]:
        trained.trajectory.path(kept).unlink()
    states = dict(replayed(trained))
    assert list(states) == list(range(trained.steps))
    last = trained.steps - 1
    parts, rate = micro_batches_of(trained, last), float(trained.recipe.schedule.rates[last])
    gradient_P = gradient(trained.task, states[last].theta, parts)
    end = trained.recipe.rule.apply(states[last], gradient_P, rate, last)
    assert torch.equal(joined(end.theta), trained.theta_P)


def test_recorded_states_are_taken_from_disk(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    moved = trained.trajectory.steps()[4]
    state = trained.state(moved)
    trained.trajectory.save(moved, state._replace(theta=combined(lambda value: value + 1, state.theta)))
    assert torch.equal(joined(dict(replayed(trained))[moved].theta), joined(state.theta) + 1)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("accumulation", [1, 4])
def test_slopes_of_groups_are_sums_over_their_examples(accumulation: int, tmp_path: Path) -> None:
    trained = small_training(tmp_path, accumulation=accumulation)
    theta_P, groups = trained.theta_P, sources(trained)
    for step in range(3):
        present, gradient_gP = batch_gradients(trained, step, theta_P, groups)
        indices = np.concatenate(trained.recipe.schedule.order.micro_batches(step))
        assert present.tolist() == sorted(set(trained.data.source_N[indices]))
        expected_SP = torch.zeros(3, len(theta_P))
        for example in indices:
            expected_SP[trained.data.source_N[example]] += loss_gradient(trained.recipe, theta_P, example) / 8
        torch.testing.assert_close(gradient_gP, expected_SP[present], rtol=1e-12, atol=1e-14)
        whole_P = joined(gradient(trained.task, trained.final.theta, micro_batches_of(trained, step)))
        torch.testing.assert_close(gradient_gP.sum(0), whole_P, rtol=1e-12, atol=1e-14)


def test_a_batch_without_any_group_has_no_slopes(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    nobody = Groups(np.full(len(trained.data), -1), 2)
    present, gradient_gP = batch_gradients(trained, 0, trained.theta_P, nobody)
    assert len(present) == 0 and gradient_gP.shape == (0, trained.task.size)


def test_stretches_hold_about_equal_learning_rate_mass() -> None:
    rates = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0])
    assert stretches(rates, 2) == [range(4), range(4, 6)]
    assert stretches(rates, 1) == [range(6)]
    assert stretches(rates, 6) == stretches(rates, 99) == [range(step, step + 1) for step in range(6)]
