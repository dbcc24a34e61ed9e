"""TracIn against a loop over checkpoints, queries and examples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.estimators.small import (
    additive,
    influences,
    loss_gradient,
    query_gradient,
    small_queries,
    small_training,
    sources,
    text_queries,
    text_training,
)
from tests.unit.training.small import small_recipe
from tribute.errors import ConfigError
from tribute.estimators import Groups, Trained, build_estimator, most_influential
from tribute.readout import QueryRows
from tribute.tasks import joined
from tribute.training import Trajectory


def naive(trained: Trained, queries: QueryRows, chosen: list[int], reads: str = "loss") -> Tensor:
    """Influence of every example, [Q, N]: step by step, each charged to the next of the chosen states."""
    recipe, found = trained.recipe, torch.zeros(3, len(trained.data))
    for step, rate in enumerate(recipe.schedule.rates):
        theta_P = joined(trained.state(min(c for c in chosen if c > step)).theta)
        asked = [query_gradient(recipe, theta_P, queries, query, reads) for query in range(3)]
        for example in range(len(recipe.data)):
            gradient_P = loss_gradient(recipe, theta_P, example)
            found[:, example] -= rate / len(recipe.data) * torch.stack([q @ gradient_P for q in asked])
    return found


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("options", "count"), [({}, 10), ({"checkpoints": 3}, 3), ({"checkpoints": 1}, 1)])
def test_every_checkpoint_stands_for_the_steps_before_it(
    options: dict[str, Any], count: int, tmp_path: Path
) -> None:
    trained, queries = small_training(tmp_path), small_queries()
    kept = trained.trajectory.steps()
    chosen = {10: kept[1:], 3: [kept[3], kept[6], kept[10]], 1: [kept[10]]}[count]
    found = influences(build_estimator("tracin", options), trained, sources(trained), queries)
    expected = additive(trained, naive(trained, queries, chosen))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.usefixtures("float64")
def test_measurements_are_followed_where_asked(tmp_path: Path) -> None:
    trained, queries = small_training(tmp_path), small_queries()
    options = {"checkpoints": 1, "reads": "measurement"}
    found = influences(build_estimator("tracin", options), trained, sources(trained), queries)
    expected = additive(trained, naive(trained, queries, trained.trajectory.steps()[-1:], "measurement"))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)
    of_loss = influences(build_estimator("tracin", {"checkpoints": 1}), trained, sources(trained), queries)
    assert (found - of_loss).abs().max() > 1e-3 * found.abs().max()


@pytest.mark.usefixtures("float64")
def test_text_and_its_most_influential_examples(tmp_path: Path) -> None:
    trained, queries, estimator = (
        text_training(tmp_path, optimizer="adamw"),
        text_queries(),
        build_estimator("tracin", {}),
    )
    expected = naive(trained, queries, trained.trajectory.steps()[1:])
    found = influences(estimator, trained, sources(trained), queries)
    torch.testing.assert_close(found, additive(trained, expected), rtol=1e-10, atol=1e-14)
    best = most_influential(estimator, trained, {}, queries, 1, 2)
    own = expected[:, trained.data.source_N == 1].numpy()
    np.testing.assert_array_equal(best.index_Qk, 5 + np.argsort(-own, axis=1)[:, :2])


def test_single_precision_stays_single(tmp_path: Path) -> None:
    trained = small_training(tmp_path)
    found = influences(
        build_estimator("tracin", {}), trained, Groups.of_sources(trained.data, [1]), small_queries()
    )
    assert found.dtype is torch.float32 and found.shape == (3, 1)


def test_what_cannot_work_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"checkpoints is 0. Set it to at least 1"):
        build_estimator("tracin", {"checkpoints": 0})
    with pytest.raises(ConfigError, match=r"tracin: reads is 'margin'. Set it to one of loss, measurement"):
        build_estimator("tracin", {"reads": "margin"})
    recipe, trajectory = small_recipe(), Trajectory(tmp_path)
    trajectory.save(0, recipe.initial())
    bare = Trained(recipe, trajectory, 0)
    with pytest.raises(ConfigError, match="Use gradient_dot, or record the training"):
        build_estimator("tracin", {}).gather(bare, {}, sources(bare))
    trained, queries = small_training(tmp_path / "whole"), small_queries()
    unlabelled = QueryRows(queries.query_ids, {"features": queries.columns["features"]}, queries.query_N)
    with pytest.raises(ConfigError, match=r"Queries have no column 'labels'.* Set the estimator's option reads"):
        influences(build_estimator("tracin", {}), trained, sources(trained), unlabelled)
