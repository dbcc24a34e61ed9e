"""Nearest neighbours against Shapley values by enumeration, and n-grams counted one by one."""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.estimators.small import (
    additive,
    influences,
    small_queries,
    small_training,
    sources,
    text_queries,
    text_training,
)
from tribute.errors import ConfigError
from tribute.estimators import Trained, build_estimator, most_influential
from tribute.estimators.methods.nearest import HASH_BASE, knn_shapley, ngram_counts
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet


def share_right(players: Sequence[int], near: Tensor, right: Tensor, k: int) -> float:
    nearest = sorted(players, key=lambda player: -float(near[player]))[:k]
    return sum(float(right[player]) for player in nearest) / k


def shapley(near: Tensor, right: Tensor, k: int) -> list[float]:
    """By its definition: over all coalitions of the others."""
    count, found = len(near), []
    for player in range(count):
        others = [other for other in range(count) if other != player]
        total = 0.0
        for size in range(count):
            for players in combinations(others, size):
                gain = share_right([*players, player], near, right, k) - share_right(players, near, right, k)
                total += gain / (count * math.comb(count - 1, size))
        found.append(total)
    return found


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("k", [1, 2, 3, 7, 9])
def test_the_recursion_gives_shapley_values(k: int) -> None:
    near, right = torch.randn(2, 7), torch.randint(0, 2, (2, 7)).bool()
    expected = torch.tensor([shapley(near[row], right[row], k) for row in range(2)])
    torch.testing.assert_close(knn_shapley(near, right, k), expected, rtol=1e-12, atol=1e-14)


def cosines(asked: Tensor, known: Tensor) -> Tensor:
    return torch.tensor([[float(q @ z / (q.norm() * z.norm())) for z in known] for q in asked])


def naive(trained: Trained, k: int) -> Tensor:
    """KNN-Shapley of every query, [Q, N], one rank after the other."""
    columns, queries = trained.data.columns, small_queries()
    near = cosines(torch.from_numpy(queries.columns["features"]), torch.from_numpy(columns["features"]))
    found = torch.zeros(3, len(trained.data))
    for row, query in enumerate(queries.query_N):
        order = near[row].argsort(descending=True).tolist()
        right = [float(columns["labels"][n] == queries.columns["labels"][row]) for n in order]
        value = right[-1] / len(order)
        found[query, order[-1]] += value
        for rank in range(len(order) - 1, 0, -1):
            value += (right[rank - 1] - right[rank]) / k * min(k, rank) / rank
            found[query, order[rank - 1]] += value
    return found


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("k", [1, 10])
def test_sources_are_the_sum_of_their_examples(k: int, tmp_path: Path) -> None:
    options = {"k": k, "rows": 3, "block": 7}  # four query rows in two parts, 40 examples in six blocks
    trained = small_training(tmp_path)
    found = influences(build_estimator("nearest", options), trained, sources(trained), small_queries())
    torch.testing.assert_close(found, additive(trained, naive(trained, k)), rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_most_influential_examples_of_a_source(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    found = most_influential(build_estimator("nearest", {}), trained, {}, small_queries(), 1, 3)
    expected = naive(trained, 10)[:, 20:33].numpy()
    np.testing.assert_allclose(found.influence_Qk, -np.sort(-expected, axis=1)[:, :3], rtol=1e-10)


def test_ngrams_are_counted_without_padding() -> None:
    tokens = torch.tensor([[1, 2, 1, 2, 1], [3, 4, 5, -1, -1], [7, -1, -1, -1, -1]])
    expected = torch.zeros(3, 31, dtype=torch.int64)
    for row, pairs in enumerate([[(1, 2), (2, 1), (1, 2), (2, 1)], [(3, 4), (4, 5)], []]):
        for one, other in pairs:
            expected[row, (one * HASH_BASE + other) % 31] += 1
    assert torch.equal(ngram_counts(tokens, 2, 31), expected)
    assert torch.equal(ngram_counts(tokens, 6, 31), torch.zeros(3, 31, dtype=torch.int64))


@pytest.mark.usefixtures("float64")
def test_texts_go_to_the_examples_that_share_ngrams(tmp_path: Path) -> None:
    trained, queries = text_training(tmp_path), text_queries()
    tokens = trained.data.columns["tokens"].copy()
    tokens[1, 2:6] = queries.columns["tokens"][0, 1:5]  # two of seven trigrams
    tokens[6, :9] = queries.columns["tokens"][3]
    copied = TrainingSet(trained.data.source_ids, trained.data.source_N, {"tokens": tokens})
    recipe = Recipe(trained.recipe.task_settings, trained.recipe.training, copied, 0)
    estimator = build_estimator("nearest", {"k": 2, "bins": 2**16})
    found = influences(estimator, Trained(recipe, trained.trajectory, trained.steps), sources(trained), queries)
    expected = torch.tensor([[2 / 7 / 2, 0.0], [0.0, 0.0], [0.0, 1 / 2]])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_float32_has_float32(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    assert (
        influences(build_estimator("nearest", {}), trained, sources(trained), small_queries()).dtype
        == torch.float32
    )


def renamed(trained: Trained, names: dict[str, str]) -> Trained:
    data = trained.data
    columns = {names.get(name, name): values for name, values in data.columns.items() if names.get(name, name)}
    recipe = Recipe(
        trained.recipe.task_settings,
        trained.recipe.training,
        TrainingSet(data.source_ids, data.source_N, columns),
        0,
    )
    return Trained(recipe, trained.trajectory, trained.steps)


@pytest.mark.usefixtures("float64")
def test_columns_of_any_name_are_compared(tmp_path: Path) -> None:
    estimator, trained, queries = build_estimator("nearest", {}), small_training(tmp_path), small_queries()
    columns = {"pixels": queries.columns["features"], "labels": queries.columns["labels"]}
    asked = QueryRows(queries.query_ids, columns, queries.query_N)
    found = influences(estimator, renamed(trained, {"features": "pixels"}), sources(trained), asked)
    assert torch.equal(found, influences(estimator, trained, sources(trained), queries))


@pytest.mark.usefixtures("float64")
def test_integers_of_any_name_are_compared_by_their_ngrams(tmp_path: Path) -> None:
    estimator, trained, queries = build_estimator("nearest", {}), text_training(tmp_path), text_queries()
    asked = QueryRows(queries.query_ids, {"input_ids": queries.columns["tokens"]}, queries.query_N)
    found = influences(estimator, renamed(trained, {"tokens": "input_ids"}), sources(trained), asked)
    assert found.any()
    assert torch.equal(found, influences(estimator, trained, sources(trained), queries))


@pytest.mark.usefixtures("float64")
def test_targets_and_weights_are_not_compared_beside_inputs(tmp_path: Path) -> None:
    """A number a row is compared only where there is nothing else; of training alone, not even then."""
    estimator, trained, queries = build_estimator("nearest", {}), small_training(tmp_path), small_queries()
    columns = {name: queries.columns[name] for name in ("features", "labels")}
    wide = renamed(trained, {"features": "pixels", "labels": "target"})
    asked = QueryRows(
        queries.query_ids, {"pixels": columns["features"], "target": columns["labels"]}, queries.query_N
    )
    found = influences(estimator, wide, sources(trained), asked)
    without = QueryRows(queries.query_ids, {"pixels": columns["features"]}, queries.query_N)
    assert found.any() and torch.equal(found, influences(estimator, wide, sources(trained), without))
    number = QueryRows(queries.query_ids, {"target": columns["labels"]}, queries.query_N)
    assert influences(estimator, wide, sources(trained), number).any()


@pytest.mark.usefixtures("float64")
def test_a_query_that_is_like_no_example_tells_nothing(tmp_path: Path) -> None:
    """It has no neighbours, so its votes would go to whoever comes first."""
    trained, queries = small_training(tmp_path), small_queries()
    empty = {"features": 0 * queries.columns["features"], "labels": queries.columns["labels"]}
    asked = QueryRows(queries.query_ids, empty, queries.query_N)
    assert not influences(build_estimator("nearest", {}), trained, sources(trained), asked).any()


@pytest.mark.usefixtures("float64")
def test_a_limit_of_memory_changes_no_influence(tmp_path: Path) -> None:
    trained, queries = small_training(tmp_path), small_queries()
    whole, row_by_row = (
        influences(build_estimator("nearest", options), trained, sources(trained), queries)
        for options in ({}, {"compared": 1})
    )
    torch.testing.assert_close(row_by_row, whole, rtol=1e-12, atol=1e-14)


def test_labels_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="these have labels alone"):
        build_estimator("nearest", {}).fit(renamed(small_training(tmp_path), {"features": ""}))


@pytest.mark.parametrize("options", [{"k": 0}, {"ngram": 0}, {"bins": 0}, {"bins": HASH_BASE}, {"compared": 0}])
def test_invalid_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="Set all to at least 1, and bins"):
        build_estimator("nearest", options)
