"""The byte-level GPT: causal, padded rows count nothing, differentiable in forward mode."""

import math

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
    model = task.task.build()
    logits = [model(t[:, :-1].clamp(min=0)) for t in (tokens, changed)]
    assert torch.equal(prefix[0], prefix[1])
    torch.testing.assert_close(logits[0][:, :6], logits[1][:, :6])
    assert not torch.allclose(logits[0][:, 6:], logits[1][:, 6:])
    assert theta.numel() == task.size


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_attention_equals_filling_future_logits_to_the_bit(task: FlatTask, precision: torch.dtype) -> None:
    block = task.task.build().blocks[0].to(precision)
    x_BTD = torch.randn(3, 8, 8).to(precision)

    def filled(x_BTD: torch.Tensor) -> torch.Tensor:
        q, k, v = block.queries_keys_values(x_BTD).view(3, 8, 3, 2, 4).permute(2, 0, 3, 1, 4)
        future = torch.ones(8, 8, dtype=torch.bool).triu(1)
        weights = (q @ k.mT / math.sqrt(4)).masked_fill(future, -torch.inf).softmax(-1)
        return block.projection((weights @ v).transpose(1, 2).reshape(3, 8, 8))

    results = []
    for attention in (block.attention, filled):
        output = attention(x_BTD)
        results.append([output, *torch.autograd.grad(output.square().sum(), block.queries_keys_values.weight)])
    for found, expected in zip(*results, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.usefixtures("float64")
def test_forward_mode_equals_reverse_mode(task: FlatTask) -> None:
    theta, direction = task.initial(0).double(), torch.randn(task.size)
    batch = {"tokens": torch.randint(0, 256, (3, 9))}

    def loss(t):
        return task.losses(t, batch).mean()

    _, forward = torch.func.jvp(loss, (theta,), (direction,))
    reverse = torch.func.grad(loss)(theta) @ direction
    torch.testing.assert_close(forward, reverse, rtol=1e-10, atol=1e-12)


def test_targets_are_predicted_and_prompts_are_context(task: FlatTask) -> None:
    theta, tokens = task.initial(0), torch.randint(0, 256, (3, 9))
    target = torch.rand(3, 9) < 0.5
    target[:, 0], target[:, 4] = False, True
    tokens[0, 6:] = -1  # padding is not predicted, whatever a target says
    pieces = task.pieces(theta)
    logits = task.measured_model(pieces)(tokens[:, :-1].clamp(min=0)).log_softmax(-1)
    for row in range(3):
        places = [at for at in range(1, 9) if target[row, at] and tokens[row, at] >= 0]
        expected = sum(float(logits[row, at - 1, tokens[row, at]]) for at in places)
        one = {"tokens": tokens[row : row + 1], "target": target[row : row + 1]}
        assert float(task.measure(theta, one)) == pytest.approx(expected, rel=1e-5)
        assert float(task.losses(theta, one)) == pytest.approx(-expected / len(places), rel=1e-5)
    everything = tokens >= 0
    everything[:, 0] = False
    torch.testing.assert_close(
        task.measure(theta, {"tokens": tokens, "target": everything}), task.measure(theta, {"tokens": tokens})
    )
