"""A training that diverged, or learned nothing, stops; so does a checkpoint that knows nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.unit.tasks.frozen_tasks import RandomFeatures
from tests.unit.training.small import small_recipe
from tribute.cluster import TrainJob
from tribute.cluster.train import train_replicate
from tribute.errors import SimulationError
from tribute.tasks import joined
from tribute.training import Recipe


def trained(recipe: Recipe, folder: Path) -> dict:
    return train_replicate(recipe, TrainJob(0, recipe.seed, folder / "replicate-0"))


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            {"optimizer": "sgd", "learning_rate": 100.0},
            r"under seed 0 diverged: the mean loss .* before the first",
        ),
        ({"optimizer": "adamw", "learning_rate": 30.0}, "under seed 0 diverged"),
        (
            {"optimizer": "sgd", "learning_rate": 1e-9},
            "under seed 0 learned nothing: the mean loss .* Raise",
        ),
    ],
)
def test_a_training_that_does_not_lower_the_loss_stops_however_often_it_is_asked(
    tmp_path: Path, training: dict, message: str
) -> None:
    for _ in range(2):
        with pytest.raises(SimulationError, match=message):
            trained(small_recipe(**training), tmp_path)


def test_a_checkpoint_that_is_worse_than_a_fresh_model_stops(tmp_path: Path) -> None:
    recipe, path = small_recipe(), tmp_path / "model.safetensors"
    named = recipe.task.task.build().state_dict()
    safetensors.torch.save_file(named, path)
    adopted = replace(recipe, training=recipe.training.model_copy(update={"checkpoint": path}))
    assert trained(adopted, tmp_path / "fresh")["steps"] == 0
    safetensors.torch.save_file({name: 100 * value for name, value in named.items()}, path)
    with pytest.raises(SimulationError, match=r"model.safetensors does not know the corpus: the mean loss"):
        trained(adopted, tmp_path / "wild")


def labelled(recipe: Recipe, *, shuffled: bool) -> Recipe:
    """The sign of the first feature as labels; those of the first source at random."""
    labels, own = (recipe.data.columns["features"][:, 0] > 0).astype(np.int64), recipe.data.source_N == 0
    if shuffled:
        labels[own] = np.random.default_rng(1).permutation(labels[own])
    return replace(recipe, data=replace(recipe.data, columns={**recipe.data.columns, "labels": labels}))


def test_a_training_tells_what_it_learnt_of_each_source_and_little_of_labels_at_random(tmp_path: Path) -> None:
    recipe, falls = small_recipe(epochs=20, learning_rate=0.3), []
    for shuffled in (False, True):
        given = labelled(recipe, shuffled=shuffled)
        rows = trained(given, tmp_path / str(shuffled))["learning"]
        assert [(row["source_id"], row["examples"]) for row in rows] == [("alpha", 20), ("beta", 13), ("gamma", 7)]
        batch, _ = given.data.batch(np.arange(20), torch.device("cpu"))
        before = given.task.losses(joined(given.initial().theta), batch).mean()
        assert rows[0]["loss_before_nats"] == pytest.approx(float(before), rel=1e-5)
        falls.append(rows[0]["loss_before_nats"] - rows[0]["loss_after_nats"])
    assert falls[1] < falls[0] / 2


def test_frozen_features_are_kept_beside_the_training_and_may_not_change(tmp_path: Path) -> None:
    small = small_recipe(epochs=3, learning_rate=0.05)
    features = small.data.columns["features"].shape[1]
    recipe = replace(small, task_settings=RandomFeatures(features, classes=2))
    trained(recipe, tmp_path)
    kept = safetensors.torch.load_file(tmp_path / "frozen.safetensors")
    assert torch.equal(kept["omega"], recipe.task.frozen["omega"])
    other = replace(recipe, frozen={"omega": kept["omega"] + 1})
    with pytest.raises(SimulationError, match=r"trained with other frozen .* than it has now: omega\."):
        trained(other, tmp_path)
