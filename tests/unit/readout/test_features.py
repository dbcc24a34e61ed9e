"""Features of the distilled read-out: gradients of the last map, and sums without features per query."""

import numpy as np
import pytest
import torch

from tests.unit.tasks.own_task import with_dropout
from tribute.readout import QueryRows
from tribute.readout.features import Passes, feature_sums, query_features
from tribute.tasks import ByteLm, Classifier, FlatTask, WatchedModel
from tribute.tasks.bound import BoundModule


def classifier() -> tuple[FlatTask, QueryRows]:
    task = FlatTask(Classifier(features=6, hidden=(5, 4), classes=3))
    rng = np.random.default_rng(0)
    rows = {"features": rng.normal(size=(40, 6)).astype(np.float32), "labels": rng.integers(3, size=40)}
    return task, QueryRows(tuple(map(str, range(40))), rows, np.arange(40))


def texts() -> tuple[FlatTask, QueryRows]:
    task = FlatTask(ByteLm(context=8, width=8, heads=2, layers=1))
    tokens = np.random.default_rng(0).integers(0, 256, size=(30, 9))
    return task, QueryRows(tuple(map(str, range(20))), {"tokens": tokens}, np.sort(np.arange(30) % 20))


def test_the_features_are_the_gradient_of_the_last_layers() -> None:
    task, queries = classifier()
    theta = task.initial(0)
    feature_Qd = query_features(Passes(task, theta), queries)[:, :-2]
    found = feature_Qd.reshape(40, 45)[:, :12].reshape(40, 3, 4)  # 3 outputs x 4 states
    [(batch, _)] = queries.batches(64, theta.device)
    rows = [{name: value[i : i + 1] for name, value in batch.items()} for i in range(40)]
    slopes = [task.pieces(torch.func.grad(lambda at, r=row: task.measure(at, r)[0])(theta)) for row in rows]
    expected = torch.stack([slope["4.weight"] for slope in slopes])
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("made", [classifier, texts])
def test_sums_are_the_sums_of_the_features(made) -> None:
    task, queries = made()
    theta, count = task.initial(0), len(queries.query_ids)
    rng = np.random.default_rng(1)
    uses, group = rng.exponential(size=count), np.sort(rng.integers(4, size=count))
    summed = feature_sums(task, theta, queries, uses, group, 4)
    each = query_features(Passes(task, theta), queries)
    expected = np.zeros_like(summed.feature_Gd)
    np.add.at(expected, group, uses[:, None] * each)
    np.testing.assert_allclose(summed.feature_Gd, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(summed.measurement_Q, each[:, -2], rtol=1e-5)


def test_the_forward_pass_measures_as_the_task_does() -> None:
    task, queries = texts()
    theta = task.initial(0)
    [(batch, _)] = queries.batches(64, theta.device)
    seen = WatchedModel(task, theta).forward_pass(batch)
    torch.testing.assert_close(seen.measurement_B, task.measure(theta, batch))
    assert seen.error.shape == (30, 8, 256)
    assert all(hidden.shape[:2] == (30, 8) for hidden in seen.hidden)
    assert not task.measured.norm._forward_hooks  # hooks are gone


def test_a_task_of_ones_own_needs_no_change() -> None:
    task = FlatTask(with_dropout(4))
    batch = {"features": torch.randn(5, 4), "labels": torch.tensor([0, 1, 1, 0, 1])}
    assert WatchedModel(task, task.initial(0)).forward_pass(batch).measurement_B.shape == (5,)


def test_queries_of_one_shape_cost_no_copy_of_the_model_and_no_measured_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Features again and again, as a head learns them, from the same passes."""
    task, queries = texts()
    passes = Passes(task, task.initial(0))
    first = query_features(passes, queries)
    monkeypatch.delattr(BoundModule, "measured_at")
    monkeypatch.delattr(FlatTask, "measure")
    np.testing.assert_array_equal(query_features(passes, queries), first)
