"""Differences against a for-loop over sources and queries."""

import pytest
import torch

from tests.unit.readout.small import QUERY_OF_ROW, relative_error, texts, transformer
from tests.unit.training.small import small_recipe
from tribute.errors import ConfigError
from tribute.readout import PerturbedModel, QueryRows, difference, shared_trunk
from tribute.tasks import Scope, joined


@pytest.mark.usefixtures("float64")
def test_difference_is_the_measurement_minus_its_value_without_the_source() -> None:
    recipe = small_recipe()
    theta = joined(recipe.initial().theta)
    responses = 0.1 * torch.randn(3, len(theta))
    rows = {"features": torch.randn(6, 4), "labels": torch.tensor([0, 1, 1, 0, 1, 0])}
    queries = QueryRows(tuple("abcd"), {k: v.numpy() for k, v in rows.items()}, torch.tensor(QUERY_OF_ROW).numpy())
    found = difference(PerturbedModel(Scope(recipe.task, "all"), theta, responses), queries)
    expected = torch.zeros(4, 3)
    for row, query in enumerate(QUERY_OF_ROW):
        one = {name: column[row : row + 1] for name, column in rows.items()}
        for source in range(3):
            change = recipe.task.measure(theta, one) - recipe.task.measure(theta - responses[source], one)
            expected[query, source] += change[0]
    torch.testing.assert_close(found.influence_QS, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_a_shared_trunk_changes_nothing() -> None:
    perturbed = transformer(torch.float64, "last_block")
    shared, whole = shared_trunk(perturbed, texts()), difference(perturbed, texts())
    assert relative_error(shared.influence_QS, whole.influence_QS) < 1e-12


def test_the_whole_model_has_no_trunk() -> None:
    with pytest.raises(ConfigError, match="narrow"):
        shared_trunk(transformer(torch.float32), texts())
