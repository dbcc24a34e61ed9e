"""Gradient dot and cosine against loops over queries and examples, and the examples behind a source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.estimators.small import (
    additive,
    loss_gradient,
    query_gradient,
    small_queries,
    small_training,
    sources,
)
from tribute.estimators import Groups, NamedTensors, Trained, build_estimator, most_influential
from tribute.estimators.methods.gradient_dot import GradientDot

NAMES = ["gradient_dot", "gradient_cosine"]


def naive(trained: Trained, unit: bool) -> torch.Tensor:
    recipe, theta_P, queries = trained.recipe, trained.theta_P, small_queries()
    found = torch.zeros(3, len(recipe.data))
    for query in range(3):
        asked_P = query_gradient(recipe, theta_P, queries, query)
        for example in range(len(recipe.data)):
            gradient_P = loss_gradient(recipe, theta_P, example)
            size = asked_P.norm() * gradient_P.norm() if unit else 1.0
            found[query, example] = -(asked_P @ gradient_P) / size
    return found


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", NAMES)
def test_sources_are_the_sum_of_their_examples(name: str, tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), build_estimator(name, {})
    fitted = estimator.fit(trained)
    found = estimator.influence(
        trained, fitted, estimator.gather(trained, fitted, sources(trained)), small_queries()
    )
    expected = additive(trained, naive(trained, unit=name == "gradient_cosine"))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", NAMES)
def test_the_most_influential_examples_of_a_source(name: str, tmp_path: Path) -> None:
    trained, estimator = small_training(tmp_path), build_estimator(name, {})
    found = most_influential(estimator, trained, estimator.fit(trained), small_queries(), 1, 4)
    expected = naive(trained, unit=name == "gradient_cosine").numpy()[:, trained.data.source_N == 1]
    np.testing.assert_array_equal(found.index_Qk, 20 + np.argsort(-expected, axis=1)[:, :4])
    np.testing.assert_allclose(found.influence_Qk, -np.sort(-expected, axis=1)[:, :4], rtol=1e-10)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("size", [1, 5, 13])
def test_a_source_in_parts_has_the_same_examples(size: int, tmp_path: Path, monkeypatch: Any) -> None:
    trained, estimator = small_training(tmp_path), build_estimator("gradient_dot", {})
    whole = most_influential(estimator, trained, {}, small_queries(), 1, 13)
    counts, gather = [], GradientDot.gather

    def counted(self: GradientDot, trained: Trained, fitted: NamedTensors, groups: Groups) -> NamedTensors:
        counts.append(groups.count)
        return gather(self, trained, fitted, groups)

    monkeypatch.setattr(GradientDot, "gather", counted)  # only counts the parts
    memory = size * 4 * trained.task.size / 2**30
    found = most_influential(estimator, trained, {}, small_queries(), 1, 13, memory_gib=memory)
    assert counts == [size] * (13 // size) + [13 % size] * (13 % size > 0)
    np.testing.assert_array_equal(found.index_Qk, whole.index_Qk)
    np.testing.assert_allclose(found.influence_Qk, whole.influence_Qk, rtol=1e-10)


def test_groups_leave_out_what_is_not_asked_for(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    groups = Groups.of_sources(trained.data, [2, 0])
    assert groups.members(0).tolist() == list(range(33, 40))
    assert groups.members(1).tolist() == list(range(20))
    assert groups.chosen.tolist() == [*range(20), *range(33, 40)]
