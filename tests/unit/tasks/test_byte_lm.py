"""The byte-level GPT: causal, padded rows count nothing, differentiable in forward mode."""

import pytest
import torch

from tribute.tasks import ByteLm, FlatTask


@pytest.fixture
def task() -> FlatTask:
    return FlatTask(ByteLm(context=8, width=8, heads=2, layers=2))


def test_an_untrained_model_is_about_as_unsure_as_a_uniform_one(task: FlatTask) -> None:
    tokens = torch.randint(0, 256, (4, 9))
    losses = task.losses(task.initial(0), {"tokens": tokens})
    assert losses.shape == (4,)
    assert (losses - 5.545).abs().max() < 0.5  # log 256


def test_measurement_is_the_sum_of_the_rows_log_likelihoods(task: FlatTask) -> None:
    tokens = torch.randint(0, 256, (4, 9))
    theta = task.initial(0)
    torch.testing.assert_close(
        task.measure(theta, {"tokens": tokens}), -8 * task.losses(theta, {"tokens": tokens})
    )


def test_padding_adds_nothing(task: FlatTask) -> None:
    theta = task.initial(0)
    short = torch.randint(0, 256, (1, 5))
    padded = torch.cat([short, torch.full((1, 4), -1)], 1)
    torch.testing.assert_close(
        task.measure(theta, {"tokens": padded}), task.measure(theta, {"tokens": short}), rtol=1e-5, atol=1e-5
    )


def test_a_byte_is_predicted_from_earlier_ones_only(task: FlatTask) -> None:
    theta = task.initial(0)
    tokens = torch.randint(0, 256, (1, 9))
    changed = tokens.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 256
    prefix = [torch.cat([t[:, :6], torch.full((1, 3), -1)], 1) for t in (tokens, changed)]
    logits = [task._module(t[:, :-1].clamp(min=0)) for t in (tokens, changed)]
    assert torch.equal(prefix[0], prefix[1])
    torch.testing.assert_close(logits[0][:, :6], logits[1][:, :6])
    assert not torch.allclose(logits[0][:, 6:], logits[1][:, 6:])
    assert theta.numel() == task.size


@pytest.mark.usefixtures("float64")
def test_forward_mode_equals_reverse_mode(task: FlatTask) -> None:
    theta, direction = task.initial(0).double(), torch.randn(task.size)
    batch = {"tokens": torch.randint(0, 256, (3, 9))}

    def loss(t):
        return task.losses(t, batch).mean()

    _, forward = torch.func.jvp(loss, (theta,), (direction,))
    reverse = torch.func.grad(loss)(theta) @ direction
    torch.testing.assert_close(forward, reverse, rtol=1e-10, atol=1e-12)
