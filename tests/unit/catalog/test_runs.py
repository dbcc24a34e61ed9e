"""Run ids depend on the inputs of a stage, and on nothing else."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.unit.tasks.frozen_tasks import Fourier, RandomFeatures
from tribute.catalog import lineage, run_id
from tribute.catalog.runs import _frozen_sha256
from tribute.config import (
    ClusterSettings,
    Project,
    ServingSettings,
    SimulationSettings,
    TaskSettings,
    TrackingSettings,
    TrainingSettings,
    ValuationSettings,
)

BASE = Project(name="p", corpus={"kind": "text", "path": "a"})


def changed(**sections: object) -> list[str]:
    before, after = lineage(BASE), lineage(BASE.model_copy(update=sections))
    return [
        name
        for name in ("corpus_run", "train_run", "simulate_run")
        if getattr(before, name) != getattr(after, name)
    ]


def test_a_setting_renews_its_stage_and_those_behind_it() -> None:
    assert changed(simulation=SimulationSettings(horizon=0.3)) == ["simulate_run"]
    assert changed(training=TrainingSettings(seed=7)) == ["train_run", "simulate_run"]
    revised = BASE.corpus.model_copy(update={"revision": 2})
    assert changed(corpus=revised) == ["corpus_run", "train_run", "simulate_run"]


def test_what_changes_no_result_renews_nothing() -> None:
    assert (
        changed(
            cluster=ClusterSettings(workers=7),
            tracking=TrackingSettings(enabled=False),
            serving=ServingSettings(port=9),
        )
        == []
    )
    assert changed(valuation=ValuationSettings(resamples=500), workdir=Path("elsewhere")) == []


def test_what_estimators_brought_leaves_the_runs_of_simulations_where_they_were() -> None:
    assert lineage(BASE).simulate_run == "simulate-c25cc0e0207f"
    assert BASE.evaluation.fingerprint().startswith("19cb3f2ff1c4")
    assert BASE.evaluation.model_copy(update={"estimators": ("trak",)}).fingerprint()[:12] != "19cb3f2ff1c4"


def test_an_estimator_is_known_by_what_it_looks_at() -> None:
    def simulated(**settings: object) -> str:
        update = {"simulation": SimulationSettings(mode="trak", **settings)}
        return lineage(BASE.model_copy(update=update)).simulate_run

    assert simulated() == simulated(groups=2) == simulated(options={})
    assert simulated() != simulated(options={"models": 2})


def test_run_ids_tell_apart_what_is_hashed() -> None:
    assert run_id("value", ["a", "b"]) != run_id("value", ["ab"])
    assert run_id("value", "x") == run_id("value", "x")
    assert run_id("value", "x").startswith("value-")


def own(kind: str, checkpoint: Path | None = None) -> str:
    options = {"features": 4, "classes": 3, "kind": kind}
    task = TaskSettings(name="tests.unit.tasks.frozen_tasks:random_features", options=options)
    training = TrainingSettings(checkpoint=checkpoint)
    simulation = SimulationSettings(base="continue")
    return lineage(
        BASE.model_copy(update={"task": task, "training": training, "simulation": simulation})
    ).train_run


def test_frozen_parameters_and_buffers_are_part_of_the_run_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {kind: own(kind) for kind in ("buffer", "parameter", "attribute")}
    torch.manual_seed(123)
    assert {kind: own(kind) for kind in before} == before
    named, found = RandomFeatures(4, classes=3).build().state_dict(), []
    for shift in (0.0, 1.0):
        safetensors.torch.save_file(named | {"omega": named["omega"] + shift}, tmp_path / "model.safetensors")
        found.append(own("buffer", tmp_path / "model.safetensors"))
    assert len({*found, before["buffer"]}) == 3
    build = Fourier.__init__

    def elsewhere(self: Fourier, *options: object) -> None:
        build(self, *options)  # type: ignore[arg-type]
        self.omega = self.omega * 2

    monkeypatch.setattr(Fourier, "__init__", elsewhere)
    _frozen_sha256.cache_clear()
    assert own("buffer") != before["buffer"]
    assert own("attribute") != before["attribute"]
