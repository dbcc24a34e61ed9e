"""Models with a part that is not trained: the same everywhere, and influences that plain PyTorch confirms."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import tribute
from tests.unit.tasks.frozen_tasks import FrozenTrunk, RandomFeatures
from tribute.tasks import Classifier, FlatTask

QUERIES = {
    "features": np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32),
    "labels": np.arange(9) % 3,
}


def by_source() -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    found = {}
    for name, count in (("a", 16), ("b", 24), ("c", 8)):
        features = rng.normal(size=(count, 4)).astype(np.float32)
        found[name] = {"features": features, "labels": np.abs(features[:, :3]).argmax(1)}
    return found


TASKS = [
    *(RandomFeatures(4, classes=3, kind=kind) for kind in ("buffer", "parameter", "temporary", "attribute")),
    FrozenTrunk(features=4, classes=3),
]
SETTINGS = tribute.TrainingSettings(optimizer="sgd", learning_rate=0.3, batch_size=8, epochs=3, momentum=0.8)
WHOLE = tribute.SimulationSettings(horizon=1.0)


def study_of(task: Classifier, folder: Path | None = None) -> tribute.Study:
    return tribute.Study(task, by_source(), training=SETTINGS, simulation=WHOLE, replicates=2, folder=folder)


def retrained(study: tribute.Study, task: Classifier, seed: int, without: int) -> torch.Tensor:
    """Measurements of the queries after plain PyTorch training with a source's examples left out, [Q]."""
    recipe = study.runs.recipe
    torch.manual_seed(seed)
    module, flat = task.build(), FlatTask(task)
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if name in flat.frozen:
            value.data = flat.frozen[name].clone()
    if isinstance(task, RandomFeatures) and task.kind == "attribute":
        module.omega = flat.module.omega
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=1.0, momentum=0.8)
    order = type(recipe)(task, recipe.training, recipe.data, seed).schedule
    for step, rate in enumerate(order.rates):
        [indices] = order.order.micro_batches(step)
        batch, source_B = recipe.data.batch(indices, torch.device("cpu"))
        optimizer.param_groups[0]["lr"] = float(rate)
        losses_B = cross_entropy(module(batch["features"]), batch["labels"], reduction="none")
        optimizer.zero_grad()
        ((source_B != without) * losses_B).mean().backward()
        optimizer.step()
    with torch.no_grad():
        return task.measurement(module.eval(), {name: torch.from_numpy(each) for name, each in QUERIES.items()})


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_influences_are_those_of_plain_pytorch(task: Classifier) -> None:
    study = study_of(task)
    study.train()
    found_RQS = study.attribute(QUERIES).influence_RQS
    for seed in range(2):
        whole_Q = retrained(study, task, seed, without=-1)
        for source in range(3):
            expected_Q = whole_Q - retrained(study, task, seed, without=source)
            np.testing.assert_allclose(found_RQS[seed, :, source], expected_Q, rtol=2e-3, atol=2e-4)


def test_what_is_frozen_is_the_same_in_every_replicate_and_process_and_names_the_study(tmp_path: Path) -> None:
    task = RandomFeatures(4, classes=3)
    torch.manual_seed(1)
    one = study_of(task, tmp_path)
    torch.manual_seed(2)
    other = study_of(task, tmp_path)
    assert one.runs.folder == other.runs.folder
    assert torch.equal(one.runs.recipe.task.frozen["omega"], other.runs.recipe.task.frozen["omega"])
    one.train()
    assert (one.runs.folder / "trained" / "frozen.safetensors").exists()


def test_a_study_without_a_frozen_part_keeps_its_name(tmp_path: Path) -> None:
    assert FlatTask(Classifier(4, (5,), 3)).frozen_sha256 == ""
    study_of(Classifier(4, (5,), 3), tmp_path).train()
    assert not list(tmp_path.rglob("frozen.safetensors"))


@pytest.mark.parametrize("kind", ["buffer", "parameter", "temporary"])
def test_a_module_brings_its_frozen_part_along(kind: str) -> None:
    task = RandomFeatures(4, classes=3, kind=kind)
    torch.manual_seed(7)
    module = task.build()
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=0.05)
    columns = {
        name: np.concatenate([each[name] for each in by_source().values()]) for name in ("features", "labels")
    }
    batch = {name: torch.from_numpy(values) for name, values in columns.items()}
    for _ in range(40):
        optimizer.zero_grad()
        task.training_loss(module, batch).mean().backward()
        optimizer.step()
    study = tribute.Study.from_checkpoint(task, by_source(), module, training=SETTINGS, replicates=1)
    assert torch.equal(study.runs.recipe.task.frozen["omega"], module.omega)
    found = study.attribute(QUERIES)
    with torch.no_grad():
        measured = task.measurement(module, {name: torch.from_numpy(each) for name, each in QUERIES.items()})
    np.testing.assert_allclose(found.measurement_Q, measured, rtol=1e-5)


def test_a_wrapped_module_is_refused_by_its_prefix() -> None:
    task = Classifier(4, (5,), 3)
    with pytest.raises(tribute.TributeError, match=r"under the prefix 'module\.'"):
        tribute.Study.from_checkpoint(task, by_source(), nn.ModuleDict({"module": task.build()}))
