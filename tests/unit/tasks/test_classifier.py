"""The classifier's measurements against their definitions."""

import pytest
import torch

from tribute.tasks import Classifier, FlatTask

OPTIONS = {"features": 4, "hidden": (5,), "classes": 3}
ROWS = {"features": torch.randn(6, 4), "labels": torch.tensor([0, 1, 2, 0, 1, 2])}


def probabilities(task: FlatTask, theta: torch.Tensor) -> torch.Tensor:
    nats = [task.measure(theta, {**ROWS, "labels": torch.full((6,), c)}) for c in range(3)]
    return torch.stack(nats, 1).exp()


def test_log_likelihoods_are_those_of_a_distribution() -> None:
    task = FlatTask(Classifier(**OPTIONS, measure="log_likelihood"))
    theta = task.initial(0)
    torch.testing.assert_close(probabilities(task, theta).sum(1), torch.ones(6))
    torch.testing.assert_close(task.measure(theta, ROWS), -task.losses(theta, ROWS))


def test_the_margin_is_the_log_odds_of_the_true_class() -> None:
    likelihood, margin = (FlatTask(Classifier(**OPTIONS, measure=m)) for m in ("log_likelihood", "margin"))
    theta = likelihood.initial(0)
    p = probabilities(likelihood, theta).gather(1, ROWS["labels"][:, None])[:, 0]
    torch.testing.assert_close(margin.measure(theta, ROWS), (p / (1 - p)).log(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_initial_parameters_follow_the_seed_and_leave_the_generator_alone(seed: int) -> None:
    task = FlatTask(Classifier(**OPTIONS))
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    first = task.initial(seed)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, task.initial(seed))
    assert not torch.equal(first, task.initial(seed + 2))
