"""The public check of a task: what it finds, that a study asks it first, and that methods are rehearsed."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import tribute
from tests.unit.study.conftest import BY_SOURCE, QUERIES, TASK
from tests.unit.tasks.contract.wild import COLUMNS, FEATURES, RIGHT, WRONG, Layers, Softmax, layers
from tribute.errors import ConfigError
from tribute.estimators import ESTIMATORS
from tribute.tasks import ByteLm

SOURCES = {
    name: {key: values[part] for key, values in COLUMNS.items()}
    for name, part in (("a", slice(0, 12)), ("b", slice(12, 22)), ("c", slice(22, 30)))
}
SMALL = tribute.Classifier(features=FEATURES, hidden=(8,), classes=3)


@pytest.mark.parametrize("method", ["paired", "tangent", *sorted(set(ESTIMATORS) - {"bm25", "patches"})])
def test_a_sound_task_passes_the_rehearsal_of_every_method(method: str) -> None:
    report = tribute.check_task(SMALL, SOURCES, simulation=tribute.SimulationSettings(mode=method))
    assert report.findings == (), str(report)
    assert report.fine


@pytest.mark.parametrize("method", ["bm25", "patches"])
def test_methods_for_other_models_are_refused_before_training(method: str) -> None:
    report = tribute.check_task(SMALL, SOURCES, simulation=tribute.SimulationSettings(mode=method))
    assert [(each.subject, each.refused) for each in report.findings] == [(method, True)]


@pytest.mark.parametrize("method", ["paired", "ekfac", "bm25", "representations", "nearest", "trak"])
def test_a_language_model_passes_the_rehearsal(method: str) -> None:
    windows = {name: {"tokens": np.arange(54).reshape(6, 9) % 7 + ord(name)} for name in "abc"}
    task = ByteLm(context=8, width=8, heads=2, layers=1)
    assert tribute.check_task(task, windows, simulation=tribute.SimulationSettings(mode=method)).findings == ()


@pytest.mark.parametrize(
    "training",
    [
        {"accumulation": 16, "batch_size": 64, "clip_norm": 1.0},
        {"optimizer": "sgd", "precision": "bfloat16"},
        {"optimizer": "adam", "epochs": 0.1},
    ],
)
def test_settings_of_any_size_are_rehearsed_small(training: dict) -> None:
    assert tribute.check_task(SMALL, SOURCES, training=tribute.TrainingSettings(**training)).findings == ()


def test_a_study_refuses_before_it_trains(tmp_path: Path) -> None:
    study = tribute.Study(WRONG["batch norm"][0], SOURCES, folder=tmp_path)
    with pytest.raises(ConfigError, match=r"Task Softmax cannot be valued as it stands: .*running_mean"):
        study.train()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_queries_are_checked_before_they_are_attributed(study: tribute.Study) -> None:
    outside = {**QUERIES, "labels": QUERIES["labels"] + 100}
    with pytest.raises(ConfigError, match="measurement fails"):
        study.attribute(outside)


def test_a_method_without_a_rule_is_refused_by_name_before_training(tmp_path: Path) -> None:
    bag = Softmax(
        build=lambda: Layers(
            lambda model, x: model.extra[0](x), nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        )
    )
    study = tribute.Study(bag, SOURCES, simulation=tribute.SimulationSettings(mode="tangent"), folder=tmp_path)
    with pytest.raises(
        ConfigError, match=r"tangent cannot be computed for this model.*no forward mode.*mode paired"
    ):
        study.train()
    assert not list(tmp_path.rglob("*.safetensors"))
    assert tribute.check_task(bag, SOURCES).fine


@pytest.mark.parametrize(
    "learning_rate", [pytest.param(0.003, marks=pytest.mark.slow), pytest.param(1.0, marks=pytest.mark.slow), 1e6]
)
def test_a_training_that_diverges_hides_no_layer(learning_rate: float) -> None:
    """A rehearsal on a few examples takes short steps, so that every method is tried."""

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag, self.head = nn.EmbeddingBag(9, 4, mode="sum"), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.bag(x.long().clamp(-4, 4) + 4))

    settings = tribute.TrainingSettings(optimizer="sgd", learning_rate=learning_rate)
    tangent = tribute.SimulationSettings(mode="tangent")
    report = tribute.check_task(Softmax(build=Bag), SOURCES, training=settings, simulation=tangent)
    assert [(each.subject, each.refused) for each in report.findings] == [("tangent", True)]
    assert "no forward mode" in report.findings[0].text
    assert tribute.check_task(Softmax(build=Bag), SOURCES, training=settings).fine


def test_activation_checkpointing_is_refused_by_name() -> None:
    def kept(model: Layers, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(model.extra[0], x, use_reentrant=False)

    report = tribute.check_task(Softmax(build=layers(kept, lambda: nn.Linear(8, 8))), SOURCES)
    assert [each.subject for each in report.findings] == ["training_loss", "measurement"]
    assert all("Turn activation checkpointing off" in each.text for each in report.findings)


def test_a_method_that_does_not_fit_the_loss_is_refused_before_training() -> None:
    report = tribute.check_task(
        RIGHT["squeezed regression"], SOURCES, simulation=tribute.SimulationSettings(mode="ekfac")
    )
    assert [each.subject for each in report.findings] == ["ekfac"]
    assert "not a cross-entropy" in report.findings[0].text


def test_all_findings_come_at_once_and_print() -> None:
    both = Softmax(loss=lambda each, *_: each.mean(), measure=lambda each, *_: each[:, None])
    report = tribute.check_task(both, SOURCES)
    assert [each.subject for each in report.findings] == ["training_loss", "measurement"]
    assert "cannot be valued" in str(report)
    assert len(report.to_pandas()) == 2
    with pytest.raises(ConfigError, match=r"(?s)- training_loss.*- measurement"):
        report.refuse()


def test_what_is_only_noted_does_not_stop_a_study() -> None:
    unused = Softmax(build=layers(lambda _, x: x, lambda: nn.Linear(4, 4)))
    report = tribute.check_task(unused, SOURCES)
    assert report.fine
    assert [each.subject for each in report.findings] == ["parameters"]
    report.refuse()


def test_an_object_that_is_no_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="task is a Linear without build"):
        tribute.check_task(nn.Linear(2, 2), SOURCES)  # type: ignore[arg-type]


def test_it_answers_within_seconds() -> None:
    """On the model of the demo, with more text than the demo's sources have each."""
    tokens = np.random.default_rng(0).integers(0, 256, (4, 500, 65)).astype(np.int16)
    sources = {f"s{index}": {"tokens": values} for index, values in enumerate(tokens)}
    start = time.process_time()
    assert tribute.check_task(ByteLm(), sources).fine
    assert time.process_time() - start < 5


def test_the_report_of_the_front_page() -> None:
    assert tribute.check_task(TASK, BY_SOURCE, QUERIES).title.endswith("keeps the contract")
