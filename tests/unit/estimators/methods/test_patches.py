"""Patches against loops over patches of queries and of images, in blocks of any size."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.estimators.small import additive, influences, sources, text_training
from tests.unit.training.small import SOURCES
from tribute.config import TaskSettings, TrainingSettings
from tribute.errors import ConfigError
from tribute.estimators import Groups, Trained, build_estimator, most_influential
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet, record

OPTIONS = {"patch": 2, "stride": 1, "abar": 0.8, "seed": 3, "draws": 2}
LOW, HIGH = 0.0, 4.0


def images(folder: Path, shape: tuple[int, ...] = (4, 4)) -> Trained:
    """Eight images of three sources in [0, 4], flat."""
    size, rng = math.prod(shape), np.random.default_rng(17)
    precision = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
    by_source = {
        name: {
            "features": rng.uniform(LOW, HIGH, size=(count, size)).astype(precision),
            "labels": rng.integers(0, 2, size=count),
        }
        for name, count in zip(SOURCES, (3, 4, 1), strict=True)
    }
    by_source["alpha"]["features"][0, :2] = LOW, HIGH
    task = TaskSettings(name="classifier", options={"features": size, "hidden": [2], "classes": 2})
    training = TrainingSettings(optimizer="sgd", learning_rate=0.1, batch_size=8, epochs=1)
    recipe = Recipe(task, training, TrainingSet.assemble(by_source), 0)
    return Trained(recipe, record(recipe, folder), recipe.steps)


def asked(trained: Trained) -> QueryRows:
    features = trained.data.columns["features"][[1, 4, 6, 7]][:, ::-1].copy()
    return QueryRows(("a", "b", "c"), {"features": features, "labels": np.zeros(4, int)}, np.array([0, 1, 1, 2]))


def cut(image: Tensor, patch: int, stride: int) -> list[Tensor]:
    """The patches of an image [C, H, W]."""
    _, height, width = image.shape
    return [
        image[:, i : i + patch, j : j + patch].flatten()
        for i in range(0, height - patch + 1, stride)
        for j in range(0, width - patch + 1, stride)
    ]


def naive(trained: Trained, shape: tuple[int, int, int], options: dict[str, Any]) -> Tensor:
    """Posterior weights, patch by patch, of every training image, [Q, N]."""
    abar, cuts, queries = options["abar"], (options["patch"], options["stride"]), asked(trained)
    scaled = [torch.from_numpy(x).view(shape) / 2 - 1 for x in trained.data.columns["features"]]
    known = [[math.sqrt(abar) * y for y in cut(image, *cuts)] for image in scaled]
    found, generator = torch.zeros(3, len(known)), torch.Generator().manual_seed(options["seed"])
    for _ in range(options["draws"]):
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        for row, query in enumerate(queries.query_N):
            image = torch.from_numpy(queries.columns["features"][row]).view(shape) / 2 - 1
            for p in cut(math.sqrt(abar) * image + math.sqrt(1 - abar) * noise, *cuts):
                logits = torch.tensor([[-float((p - y) @ (p - y)) / 2 / (1 - abar) for y in ys] for ys in known])
                found[query] += logits.flatten().softmax(0).view_as(logits).sum(1) / options["draws"]
    return found


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("pairs", [1, 200, 2**23])  # one by one, some, all at once
def test_sources_are_the_sum_of_their_examples(pairs: int, tmp_path: Path) -> None:
    trained = images(tmp_path)
    estimator = build_estimator("patches", OPTIONS | {"pairs": pairs})
    found = influences(estimator, trained, sources(trained), asked(trained))
    torch.testing.assert_close(
        found, additive(trained, naive(trained, (1, 4, 4), OPTIONS)), rtol=1e-10, atol=1e-12
    )
    torch.testing.assert_close(found.sum(1), torch.tensor([9.0, 18.0, 9.0]))  # patches of each query


@pytest.mark.usefixtures("float64")
def test_colours_strides_and_oblong_images(tmp_path: Path) -> None:
    trained = images(tmp_path, (3, 4, 6))
    options = OPTIONS | {"stride": 2, "shape": [3, 4, 6]}
    found = influences(build_estimator("patches", options), trained, sources(trained), asked(trained))
    torch.testing.assert_close(
        found, additive(trained, naive(trained, (3, 4, 6), options)), rtol=1e-10, atol=1e-12
    )


@pytest.mark.usefixtures("float64")
def test_groups_do_not_depend_on_one_another(tmp_path: Path) -> None:
    trained, estimator = images(tmp_path), build_estimator("patches", OPTIONS)
    together = influences(estimator, trained, sources(trained), asked(trained))
    alone = influences(estimator, trained, Groups.of_sources(trained.data, [1]), asked(trained))
    torch.testing.assert_close(alone[:, 0], together[:, 1], rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_most_influential_examples_of_a_source(tmp_path: Path) -> None:
    trained, estimator = images(tmp_path), build_estimator("patches", OPTIONS)
    found = most_influential(estimator, trained, estimator.fit(trained), asked(trained), 1, 2)
    expected = naive(trained, (1, 4, 4), OPTIONS)[:, 3:7].numpy()
    np.testing.assert_array_equal(found.index_Qk, 3 + np.argsort(-expected, axis=1)[:, :2])


def test_with_little_noise_an_image_is_found_in_itself(tmp_path: Path) -> None:
    trained = images(tmp_path)
    features = trained.data.columns["features"][[7]]
    queries = QueryRows(("a",), {"features": features}, np.array([0]))
    estimator = build_estimator("patches", {"patch": 3, "stride": 1, "abar": 0.9999})
    found = influences(estimator, trained, sources(trained), queries)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 4.0]]), rtol=1e-4, atol=1e-4)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="16 features are not an image of 1 x 5 x 3 pixels"):
        build_estimator("patches", {"patch": 2, "shape": [5, 3]}).fit(images(tmp_path / "a"))
    with pytest.raises(ConfigError, match="image of 1 x 4 x 4 pixels with patches of 7"):
        build_estimator("patches", {}).fit(images(tmp_path / "b"))
    with pytest.raises(ConfigError, match="the training set has tokens"):
        build_estimator("patches", {}).fit(text_training(tmp_path / "c"))


@pytest.mark.parametrize("options", [{"patch": 0}, {"stride": 0}, {"draws": 0}, {"abar": 0.0}, {"abar": 1.0}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Set abar between 0 and 1"):
        build_estimator("patches", options)
