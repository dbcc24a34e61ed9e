"""Ward's tree against brute force, cuts of it, and what sketches keep of gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.training.small import small_recipe
from tribute.config import TaskSettings, TrainingSettings
from tribute.simulation import WardTree, sketches, ward_tree
from tribute.simulation.grouping import Merge
from tribute.tasks import joined
from tribute.training import MicroBatch, Recipe, TrainingSet, gradient


def points(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)), rng.integers(1, 100, count).astype(float)


def spread(members: list[int], sketch_SD: np.ndarray, tokens_S: np.ndarray) -> float:
    """Token-weighted squared distance of a cluster's members from their mean."""
    own, mass = sketch_SD[members], tokens_S[members]
    return float(mass @ np.square(own - mass @ own / mass.sum()).sum(1))


def brute_force(sketch_SD: np.ndarray, tokens_S: np.ndarray) -> list[tuple[list[int], float]]:
    """At every step the merge that raises the total spread least: its members, and by how much."""
    clusters, found = [[index] for index in range(len(tokens_S))], []
    while len(clusters) > 1:
        costs = {
            (i, j): spread(a + b, sketch_SD, tokens_S)
            - spread(a, sketch_SD, tokens_S)
            - spread(b, sketch_SD, tokens_S)
            for i, a in enumerate(clusters)
            for j, b in enumerate(clusters)
            if i < j
        }
        i, j = min(costs, key=costs.__getitem__)
        merged = sorted(clusters[i] + clusters[j])
        found.append((merged, costs[i, j]))
        clusters = [c for k, c in enumerate(clusters) if k not in (i, j)] + [merged]
    return found


@pytest.mark.parametrize(("count", "seed"), [(2, 0), (3, 0), (12, 1), (25, 2), (25, 3)])
def test_the_tree_is_the_one_of_brute_force(count: int, seed: int) -> None:
    sketch_SD, tokens_S = points(count, seed)
    merges = ward_tree(sketch_SD, tokens_S)
    tree, expected = WardTree(merges), brute_force(sketch_SD, tokens_S)
    assert [list(tree.members(count + index)) for index in range(count - 1)] == [
        members for members, _ in expected
    ]
    np.testing.assert_allclose([merge.cost for merge in merges], [cost for _, cost in expected], rtol=1e-9)
    assert sketch_SD.tobytes() == points(count, seed)[0].tobytes()


def test_identical_sources_merge_first_and_at_no_cost() -> None:
    sketch_SD, tokens_S = points(10)
    sketch_SD[[2, 5, 7]] = sketch_SD[2]
    tree = WardTree(ward_tree(sketch_SD, tokens_S))
    assert tree.members(11) == (2, 5, 7)
    assert [tree.variation(node) < 1e-9 for node in range(10, 14)] == [True, True, False, False]


@pytest.mark.parametrize("groups", [1, 2, 7, 20, 99])
def test_a_cut_is_a_partition_and_every_group_is_its_children_together(groups: int) -> None:
    tree = WardTree(ward_tree(*points(20)))
    nodes = tree.cut(groups)
    assert len(nodes) == min(groups, 20)
    assert sorted(source for node in nodes for source in tree.members(node)) == list(range(20))
    for node in range(39):
        parts = [source for child in tree.children(node) for source in tree.members(child)]
        assert sorted(parts) == list(tree.members(node) if node >= 20 else ())
        assert (tree.variation(node) > 0) == (node >= 20)


def test_large_dissimilar_sources_stay_alone_and_small_similar_ones_merge() -> None:
    """Sources 0 to 2 are large and far apart; 3 to 14 are small, in two tight heaps."""
    rng = np.random.default_rng(4)
    heaps = np.repeat(np.array([[5.0, 0, 0], [0, 5.0, 0]]), 6, axis=0) + 0.1 * rng.normal(size=(12, 3))
    sketch_SD = np.concatenate([4 * np.eye(3) - 2, heaps])
    tree = WardTree(ward_tree(sketch_SD, np.array([1000.0] * 3 + [5.0] * 12)))
    assert {tree.members(node) for node in tree.cut(5)} == {
        *((source,) for source in range(3)),
        tuple(range(3, 9)),
        tuple(range(9, 15)),
    }


def test_worth_splitting_is_money_times_hidden_spread_and_never_a_single_source() -> None:
    """Nodes 5 = (0, 1) hides 1, 6 = (2, 3) hides 4, 7 = (4, 5) hides 9, 8 is everything."""
    tree = WardTree([Merge(0, 1, 1.0), Merge(2, 3, 4.0), Merge(4, 5, 9.0), Merge(6, 7, 20.0)])
    assert tree.worth_splitting([5, 6, 4], [10.0, 3.0, 1e9], 5) == [6, 5]
    assert tree.worth_splitting([5, 6, 4], [10.0, 2.0, 1e9], 1) == [5]
    assert tree.worth_splitting([6, 7], [-5.0, 0.0], 2) == []
    assert tree.children(4) == ()


def test_a_tree_as_deep_as_it_has_sources_is_no_problem() -> None:
    sketch_SD, tokens_S = np.zeros((1500, 1)), np.ones(1500)
    sketch_SD[:, 0] = np.cumsum(np.arange(1500) ** 3.0)
    chain = WardTree([Merge(0, 1, 1.0), *(Merge(1500 + i, i + 2, 1.0) for i in range(1498))])
    assert chain.members(2998) == WardTree(ward_tree(sketch_SD, tokens_S)).members(2998) == tuple(range(1500))


@pytest.mark.usefixtures("float64")
def test_the_same_examples_have_the_same_sketch_whichever_source_holds_them() -> None:
    small = small_recipe()
    columns = {name: values[:20] for name, values in small.data.columns.items()}
    other = {name: values[20:] for name, values in small.data.columns.items()}
    data = TrainingSet.assemble({"a": columns, "b": other, "c": columns})
    recipe = Recipe(small.task_settings, small.training, data, 0)
    found = sketches(recipe, recipe.initial().theta, range(3), 5)
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 1e-3
    np.testing.assert_array_equal(found[[2, 1]], sketches(recipe, recipe.initial().theta, [2, 1], 5))


@pytest.mark.usefixtures("float64")
def test_dot_products_of_sketches_are_near_those_of_the_whole_gradients() -> None:
    rng = np.random.default_rng(0)
    by_source = {
        f"s{index:02d}": {"features": rng.normal(size=(9, 30)) + index % 4, "labels": rng.integers(0, 5, 9)}
        for index in range(12)
    }
    task = TaskSettings(name="classifier", options={"features": 30, "hidden": [40], "classes": 5})
    recipe = Recipe(task, TrainingSettings(batch_size=8), TrainingSet.assemble(by_source), 0)
    theta, slopes = recipe.initial().theta, []
    for source in range(12):
        batch, _ = recipe.data.batch(np.flatnonzero(recipe.data.source_N == source), recipe.device)
        slopes.append(joined(gradient(recipe.task, theta, [MicroBatch(batch, torch.ones(9))])))
    whole_SP = torch.stack(slopes).numpy()
    kept = np.mean([s @ s.T for s in (sketches(recipe, theta, range(12), seed) for seed in range(30))], 0)
    one = sketches(recipe, theta, range(12), 0)
    exact = whole_SP @ whole_SP.T
    scale = np.sqrt(np.outer(exact.diagonal(), exact.diagonal()))
    assert 0 < np.abs((one @ one.T - exact) / scale).max() < 5 / np.sqrt(256)
    assert np.abs((kept - exact) / scale).max() < 5 / np.sqrt(256 * 30)


def test_sources_without_examples_or_tokens_are_grouped_like_the_others() -> None:
    small = small_recipe()
    data = replace(small.data, source_ids=(*small.data.source_ids, "empty"))
    recipe = replace(small, data=data)
    found = sketches(recipe, recipe.initial().theta, range(4), 5)
    np.testing.assert_array_equal(found[3], np.zeros(found.shape[1]))
    tree = WardTree(ward_tree(found, np.array([20.0, 13.0, 7.0, 0.0])))
    assert sorted(s for node in tree.cut(2) for s in tree.members(node)) == [0, 1, 2, 3]
