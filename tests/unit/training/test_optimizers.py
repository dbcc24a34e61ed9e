"""The pure optimizers against torch.optim, and their derivatives against central differences."""

import pytest
import torch

from tribute.config import TrainingSettings
from tribute.training import optimizers
from tribute.training.optimizers import Adam, Sgd, build_optimizer, overwrite

RATES = [0.1, 0.05, 0.2, 0.01]


def steps_of(optimizer, theta, gradients):
    slots = optimizer.init(theta)
    for step, (gradient, rate) in enumerate(zip(gradients, RATES, strict=True)):
        theta, slots = optimizer.update(theta, gradient, slots, rate, step)
    return theta


def torch_steps(make, theta, gradients):
    parameter = torch.nn.Parameter(theta.clone())
    optimizer = make([parameter])
    for gradient, rate in zip(gradients, RATES, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_sgd_is_torch_sgd(decay: float) -> None:
    theta, gradients = torch.randn(5), torch.randn(4, 5)
    ours = steps_of(Sgd(0.9, decay), theta, gradients)
    theirs = torch_steps(lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, weight_decay=decay), theta, gradients)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adamw_without_eps_is_torch_adamw(decay: float) -> None:
    theta, gradients = torch.randn(5), torch.randn(4, 5)
    ours = steps_of(Adam((0.9, 0.99), 0.0, 0.0, decay, True), theta, gradients)
    make = lambda p: torch.optim.AdamW(p, lr=1, betas=(0.9, 0.99), eps=0.0, weight_decay=decay)  # noqa: E731
    torch.testing.assert_close(ours, torch_steps(make, theta, gradients), rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_derivative_through_the_update_is_the_central_difference(optimizer: str) -> None:
    rule = build_optimizer(TrainingSettings(optimizer=optimizer, weight_decay=0.1))
    theta, gradients, direction = torch.randn(5), torch.randn(4, 5), torch.randn(4, 5)
    gradients[:, 0] = direction[:, 0] = 0  # a parameter whose gradient is exactly 0 must not give NaN

    def final(g):
        return steps_of(rule, theta, g)

    _, tangent = torch.func.jvp(final, (gradients,), (direction,))
    step = 1e-5
    central = (final(gradients + step * direction) - final(gradients - step * direction)) / (2 * step)
    assert torch.isfinite(tangent).all()
    torch.testing.assert_close(tangent, central, rtol=1e-6, atol=1e-8)


def test_many_trajectories_update_as_each_alone() -> None:
    rule = Adam((0.9, 0.99), 1e-8, 0.0, 0.1, True)
    theta, gradients = torch.randn(3, 5), torch.randn(4, 3, 5)
    together = steps_of(rule, theta, gradients)
    alone = torch.stack([steps_of(rule, theta[k], gradients[:, k]) for k in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=0)


@pytest.mark.parametrize("rule", [Adam((0.9, 0.99), 1e-8, 1e-8, 0.1, True), Sgd(0.9, 0.1, True)])
@pytest.mark.parametrize("shape", [(), (7,), (3, 5, 50)])
def test_overwriting_gives_the_same_numbers_in_the_same_memory(
    monkeypatch: pytest.MonkeyPatch, rule: Adam | Sgd, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(optimizers, "PART", 3 * 64)
    rows = 3 if len(shape) == 3 else 1
    theta, gradient, shrunk = torch.randn(shape), torch.randn(shape), torch.rand(rows, 1)
    slots = tuple(torch.rand(shape) for _ in rule.init(theta))
    slope = (gradient.reshape(rows, -1) * shrunk).view(shape)
    expected, expected_slots = rule.update(theta, slope, slots, 0.1, 3)
    found, found_slots = overwrite(rule, theta, gradient, slots, shrunk, 0.1, 3)
    for new, old, right in zip((found, *found_slots), (theta, *slots), (expected, *expected_slots), strict=True):
        assert new.shape == right.shape and new.data_ptr() == old.data_ptr()
        torch.testing.assert_close(new, right, rtol=1e-6, atol=1e-7)
