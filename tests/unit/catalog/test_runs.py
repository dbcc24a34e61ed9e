"""Run ids depend on the inputs of a stage, and on nothing else."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.unit.tasks.frozen_tasks import Fourier, RandomFeatures
from tribute.catalog import attribution, lineage, retrain_bank, retrain_run, run_id
from tribute.catalog.runs import _model_sha256
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
from tribute.corpus import Accounting, text_queries
from tribute.errors import ConfigError

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


def test_a_kept_project_keeps_its_lineage_and_one_that_is_opened_anew_sees_the_files_anew(tmp_path: Path) -> None:
    def opened() -> Project:
        return Project(name="p", workdir=tmp_path, corpus={"kind": "text", "path": tmp_path / "c.jsonl"})

    (tmp_path / "c.jsonl").write_text("one")
    project = opened()
    before = lineage(project)
    (tmp_path / "c.jsonl").write_text("two")
    assert lineage(project) == before
    assert lineage(opened()).corpus_run != before.corpus_run
    (tmp_path / "d.jsonl").write_text("one")
    renamed = project.corpus.model_copy(update={"path": tmp_path / "d.jsonl"})
    moved = opened().model_copy(update={"corpus": renamed})
    assert lineage(moved) == before


def test_every_setting_that_changes_numbers_renews_something() -> None:
    """Of every section that is computed with, each setting in turn."""
    others = {
        "training": {"seed": 5, "epochs": 2.0, "precision": "bfloat16", "weight_decay": 0.5, "replicates": 2},
        "simulation": {"horizon": 0.4, "scope": "head", "weight": 0.9, "epsilon": 0.5, "mode": "tangent"},
        "valuation": {"estimates": ({"mode": "tangent"},)},
        "readout": {"method": "jvp", "precision": 0.1, "seed": 4, "backward": True},
    }
    queries = text_queries(["q"], ["text"], 65, Accounting([None], [None], [1.0]))
    before = attribution(BASE, queries, "2026-10").run_id
    found = {before}
    for section, settings in others.items():
        for name, value in settings.items():
            changed_section = getattr(BASE, section).model_copy(update={name: value})
            changed_project = BASE.model_copy(update={section: changed_section})
            found.add(attribution(changed_project, queries, "2026-10").run_id)
    assert len(found) == 1 + sum(map(len, others.values()))
    memory = BASE.model_copy(update={"readout": BASE.readout.model_copy(update={"memory_gib": 0.5})})
    assert attribution(memory, queries, "2026-10").run_id == before


def test_further_estimates_are_of_no_use_to_what_the_service_records() -> None:
    queries = text_queries(["q"], ["text"], 65, Accounting([None], [None], [1.0]))
    other = BASE.model_copy(update={"valuation": ValuationSettings(estimates=({"mode": "tangent"},))})
    assert len({attribution(each, queries, "2026-10", "service").run_id for each in (BASE, other)}) == 1


def test_another_precision_or_budget_renews_the_trainings_alone() -> None:
    queries = text_queries(["q"], ["text"], 65, Accounting([None], [None], [1.0]))
    changes = [{"precision": 0.01}, {"budget": 5}, {"seed": 3}, {"resamples": 500}, {}]
    projects = [BASE.model_copy(update={"valuation": ValuationSettings(**each)}) for each in changes]
    assert len({retrain_run(each, "attribute-1") for each in projects}) == len(changes)
    assert len({attribution(each, queries, "2026-10").run_id for each in projects}) == 1
    assert len({retrain_bank(each) for each in projects}) == 1


def test_a_bank_counts_what_its_trainings_depend_on(tmp_path: Path) -> None:
    """The seed of recordings, which says whose each seed is; of a checkpoint, the further steps."""

    def banks(training: dict, *simulations: dict) -> int:
        changed = [
            {"training": TrainingSettings(**training, seed=seed), "simulation": SimulationSettings(**each)}
            for seed in (0, 1)
            for each in simulations
        ]
        return len({retrain_bank(BASE.model_copy(update=each)) for each in changed})

    for name in ("recording.json", "steps.jsonl", "model"):
        (tmp_path / name).write_text(name)
    steps = [{"base": "continue", "steps": count} for count in (10, 20)]
    assert banks({}, *steps) == 1
    assert banks({"recordings": (tmp_path,), "replicates": 1}, *steps) == 2
    assert banks({"checkpoint": tmp_path / "model"}, *steps) == 2
    assert banks({"checkpoint": tmp_path / "model"}, *steps, steps[0] | {"horizon": 0.5}) == 2


TASK = """
from {module}_part import width


class Task:
    def __init__(self, file=""):
        self.file = file

    def build(self):
        import torch
        layer = torch.nn.Linear(width(), 2)
        return layer

    def training_loss(self, model, batch):
        return model(batch["features"]).square().sum(-1)

    def measurement(self, model, queries):
        return -self.training_loss(model, queries)
"""


def test_the_code_of_a_task_counts_with_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_task.py").write_text(TASK.format(module="own_task"))
    (tmp_path / "own_task_part.py").write_text("import json, numpy, torch\n\ndef width():\n    return 3\n")
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("a b c")

    def parts() -> dict[str, str]:
        task = TaskSettings(name="own_task:Task", options={"file": str(vocabulary)})
        return dict(lineage(BASE.model_copy(update={"task": task})).train.parts)

    before = parts()
    assert [name for name in before if name.startswith("code ")] == ["code own_task", "code own_task_part"]
    assert parts() == before
    for path, part in (
        (tmp_path / "own_task.py", "code own_task"),
        (tmp_path / "own_task_part.py", "code own_task_part"),
        (vocabulary, "file task.options.file"),
    ):
        kept = path.read_text()
        path.write_text(f"{kept}\n# changed\n")
        assert {name for name, value in parts().items() if before[name] != value} == {part}
        path.write_text(kept)


def test_a_folder_that_an_option_names_counts_without_what_the_project_writes(tmp_path: Path) -> None:
    (tmp_path / "tokens" / "deep").mkdir(parents=True)
    (tmp_path / "tokens" / "deep" / "merges.txt").write_text("a b")

    def parts() -> dict[str, str]:
        task = TaskSettings(name="byte_lm", options={"folder": str(tmp_path), "word": "", "long": "x" * 5000})
        return dict(lineage(BASE.model_copy(update={"task": task, "workdir": tmp_path / "work"})).train.parts)

    before = parts()
    assert "file task.options.folder/tokens/deep/merges.txt" in before
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "written").write_text("by the run")
    assert parts() == before
    (tmp_path / "tokens" / "deep" / "merges.txt").write_text("b a")
    assert parts() != before


def test_weights_that_a_task_reads_by_itself_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = own("buffer")
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda layer: torch.nn.init.zeros_(layer.weight))
    _model_sha256.cache_clear()
    assert own("buffer") != before


def test_versions_that_matter_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = lineage(BASE.model_copy())
    monkeypatch.setattr("tribute.catalog.runs.READER", "2, Unicode 99")
    assert lineage(BASE.model_copy()).corpus_run != before.corpus_run
    monkeypatch.undo()
    monkeypatch.setattr("tribute.catalog.runs.version", lambda _: "99.0+cu999")
    other = lineage(BASE.model_copy())
    assert (other.corpus_run == before.corpus_run, other.train_run == before.train_run) == (True, False)
    assert other.train.parts["torch"] == "99.0"


def test_a_recording_counts_by_its_content(tmp_path: Path) -> None:
    def adopted(folder: str) -> str:
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        for name in ("recording.json", "steps.jsonl"):
            if not (path / name).exists():
                (path / name).write_text(name)
        training = TrainingSettings(recordings=(path,), replicates=1)
        return lineage(BASE.model_copy(update={"training": training})).train_run

    assert adopted("one") == adopted("other")
    (tmp_path / "other" / "steps.jsonl").write_text("changed")
    assert adopted("one") != adopted("other")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("one")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hashlib.file_digest", denied)
    project = Project(name="p", workdir=tmp_path, corpus={"kind": "text", "path": path})
    with pytest.raises(ConfigError, match=r"c\.jsonl cannot be read: Permission denied"):
        lineage(project)


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
    _model_sha256.cache_clear()
    assert own("buffer") != before["buffer"]
    assert own("attribute") != before["attribute"]
