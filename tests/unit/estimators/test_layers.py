"""Uses of a weight that its layer does not see, and layers that some batches skip: seen, and said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import tribute
from tests.unit.estimators.small import influences, sources
from tests.unit.tasks.contract.wild import COLUMNS, Layers, Softmax, layers
from tribute.config import TrainingSettings
from tribute.estimators import Trained, build_estimator
from tribute.readout import QueryRows
from tribute.training import Recipe, TrainingSet, record

BY_SOURCE = {name: {key: values[part] for key, values in COLUMNS.items()} for name, part in (
    ("a", slice(0, 18)), ("b", slice(18, 30)))}  # fmt: skip


def again(model: Layers, x: torch.Tensor) -> torch.Tensor:
    """The first layer's weight once more, by a function: forth and back, as a tied decoder."""
    return x + functional.linear(functional.linear(x, model.first.weight.t()), model.first.weight)


def in_part(model: Layers, x: torch.Tensor) -> torch.Tensor:
    """A layer that only some rows pass through."""
    chosen = (x[:, 0] > 0).nonzero()[:, 0]
    return x.index_add(0, chosen, model.extra[0](x[chosen]))


def in_large(model: Layers, x: torch.Tensor) -> torch.Tensor:
    """A layer that small batches skip."""
    return model.extra[0](x) if len(x) > 15 else x


def plain(_: Layers, x: torch.Tensor) -> torch.Tensor:
    """Nothing in between."""
    return x


def trained_with(between: Callable, folder: Path) -> Trained:
    """A short training of the network."""
    task = Softmax(build=layers(between, lambda: nn.Linear(8, 8)))
    training = TrainingSettings(optimizer="sgd", learning_rate=0.1, batch_size=10, epochs=1)
    recipe = Recipe(task, training, TrainingSet.assemble(BY_SOURCE), 0)
    return Trained(recipe, record(recipe, folder), recipe.steps)


@pytest.mark.parametrize(
    ("between", "factored"),
    [
        (plain, {"first.weight", "last.weight"}),
        (again, {"last.weight"}),
        (in_part, {"first.weight", "last.weight"}),
        (in_large, {"first.weight", "last.weight"}),
    ],
)
def test_a_layer_has_factors_only_if_every_use_of_its_weight_is_seen(
    between: Callable, factored: set[str], tmp_path: Path
) -> None:
    trained, ekfac = trained_with(between, tmp_path), build_estimator("ekfac", {"rows": 20})
    fitted = ekfac.fit(trained)
    assert {name.partition(":")[2] for name in fitted if name.startswith("inputs:")} == factored
    others = [name for name in trained.task.shapes if name.rpartition(".")[0] + ".weight" not in factored]
    assert all(name in ekfac.coverage(trained, fitted) for name in others)
    queries = QueryRows(("q", "r"), {key: values[:2] for key, values in COLUMNS.items()}, np.arange(2))
    found_QG = influences(ekfac, trained, sources(trained), queries)
    assert torch.isfinite(found_QG).all()
    assert found_QG.abs().max() > 0


def test_the_report_says_which_parameters_a_method_treats_in_another_way() -> None:
    task = Softmax(build=layers(again))
    report = tribute.check_task(task, BY_SOURCE, simulation=tribute.SimulationSettings(mode="ekfac"))
    assert report.fine
    [said] = report.coverage
    assert "layer by layer; it has a diagonal for first.weight, first.bias" in said
    narrow = tribute.check_task(task, BY_SOURCE, simulation=tribute.SimulationSettings(scope="head"))
    assert narrow.coverage == (
        "paired with scope head: 27 of 83 parameters (33%) respond to a source, the others stay as they are. "
        "In the scope: last.weight, last.bias",
    )
