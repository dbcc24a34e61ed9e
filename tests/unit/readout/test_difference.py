"""The difference read-out against a for-loop over sources and queries."""

import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.readout import difference
from tribute.tasks import ByteLm, FlatTask


@pytest.mark.usefixtures("float64")
def test_influence_is_the_measurement_minus_its_value_without_the_source() -> None:
    recipe = small_recipe()
    theta = recipe.initial().theta
    responses = 0.1 * torch.randn(3, len(theta))
    rows = {"features": torch.randn(6, 4), "labels": torch.tensor([0, 1, 1, 0, 1, 0])}
    query_of_row = torch.tensor([0, 1, 1, 2, 3, 3])  # queries 1 and 3 have two rows each
    found = difference(recipe.task, theta, responses, rows, query_of_row, 4)
    expected = torch.zeros(4, 3)
    for row, query in enumerate(query_of_row):
        one = {name: column[row : row + 1] for name, column in rows.items()}
        for source in range(3):
            change = recipe.task.measure(theta, one) - recipe.task.measure(theta - responses[source], one)
            expected[query, source] += change[0]
    torch.testing.assert_close(found.influence_QS, expected, rtol=1e-10, atol=1e-12)
    assert found.measurement_Q.shape == (4,)


@pytest.mark.usefixtures("float64")
def test_a_small_response_tends_to_the_directional_derivative() -> None:
    task = FlatTask(ByteLm(context=8, width=8, heads=2, layers=1))
    theta, response = task.initial(0), 1e-7 * torch.randn(1, task.size)
    rows = {"tokens": torch.randint(0, 256, (3, 9))}
    found = difference(task, theta, response, rows, torch.arange(3), 3).influence_QS[:, 0]
    _, derivative = torch.func.jvp(lambda t: task.measure(t, rows), (theta,), (response[0],))
    torch.testing.assert_close(found, derivative, rtol=1e-4, atol=1e-11)


def test_no_response_is_no_influence_exactly() -> None:
    recipe = small_recipe()
    theta = recipe.initial().theta
    rows = {"features": torch.randn(2, 4, dtype=theta.dtype), "labels": torch.tensor([0, 1])}
    recipe_rows = {"features": rows["features"].float(), "labels": rows["labels"]}
    found = difference(recipe.task, theta.float(), torch.zeros(3, len(theta)), recipe_rows, torch.arange(2), 2)
    assert torch.equal(found.influence_QS, torch.zeros(2, 3))
