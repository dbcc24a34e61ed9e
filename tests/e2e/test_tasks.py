"""A task that breaks the contract stops a project before it is trained, with each thing named and its remedy."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.projects import settings
from tests.unit.tasks.contract.wild import COLUMNS
from tribute.config import load_project
from tribute_jobs.cli import main
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter

WILD = "tests.unit.tasks.contract.wild:wrong"


def write_arrays(folder: Path, task: dict, labels: dict[int, int] | None = None, **sections: object) -> Path:
    """A project of three sources of feature vectors; `project.yaml`."""
    changed = COLUMNS["labels"].copy()
    for row, label in (labels or {}).items():
        changed[row] = label
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(COLUMNS["features"].reshape(-1)), 6)
    columns = {"source": np.repeat(["a", "b", "c"], 10), "features": vectors, "label": changed}
    pq.write_table(pa.table(columns), folder / "corpus.parquet")
    corpus = {"kind": "arrays", "path": "corpus.parquet", "held_out": 0.2}
    queries = {"kind": "held_out", "per_source": 2}
    content = settings(corpus=corpus, rights={}, task=task, queries=queries, **sections)
    path = folder / "project.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def tribute(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tribute", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("column", ["shape (3, 1)", "loss[:, 0]"]),
        pytest.param("batch norm", ["'running_mean' of BatchNorm1d '1'", "layer.eval()"], marks=pytest.mark.slow),
        pytest.param(
            "negatives", ["other examples in the batch change the loss of source", "row"], marks=pytest.mark.slow
        ),
        ("numpy's buffer", ["build gives other values", "'shift'", "torch.randn"]),
        ("lazy", ["lazy parameters", "weight, bias"]),
    ],
)
def test_a_wrong_task_is_refused_by_run_and_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, said: list[str]
) -> None:
    path = write_arrays(tmp_path, {"name": WILD, "options": {"name": name}})
    assert tribute(monkeypatch, "doctor", str(path), "--json") == 1
    [finding] = [each for each in json.loads(capsys.readouterr().out) if each["name"] == "task"]
    assert not finding["fine"]
    assert tribute(monkeypatch, "run", str(path), "--period", "2026-10") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert [each for each in said if each not in message or each not in finding["detail"]] == [], message
    assert "Traceback" not in message
    assert not list((tmp_path / "tribute-data").rglob("step-*"))


def test_a_method_that_the_model_has_no_rule_for_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = {"name": "tests.unit.tasks.own_task:linear", "options": {"features": 6}}
    path = write_arrays(tmp_path, task, attribution={"method": "ekfac"}, simulation={})
    assert tribute(monkeypatch, "run", str(path), "--period", "2026-10") == 2
    assert "ekfac: The training loss is not a cross-entropy" in " ".join(capsys.readouterr().err.split())
    assert not list((tmp_path / "tribute-data").rglob("step-*"))


def test_labels_that_losses_ignore_are_refused_with_their_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = {"name": "classifier", "options": {"features": 6, "hidden": [], "classes": 3}}
    path = write_arrays(tmp_path, task, {4: -100, 7: -100})
    assert tribute(monkeypatch, "run", str(path), "--period", "2026-10") == 2
    assert "corpus.parquet, row 5: the label is -100" in " ".join(capsys.readouterr().err.split())


def test_labels_outside_the_classes_are_refused_with_their_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = {"name": "classifier", "options": {"features": 6, "hidden": [], "classes": 3}}
    path = write_arrays(tmp_path, task, {row: 7 for row in range(10, 20)})
    assert tribute(monkeypatch, "run", str(path), "--period", "2026-10") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "training_loss fails for source 'b', row" in message
    assert "labels 7" in message


BESIDE = """
from torch import nn

class Mean:
    def build(self):
        return nn.Linear(6, 1)

    def training_loss(self, model, batch):
        return (model(batch["features"])[:, 0] - batch["labels"].float()) ** 2

    def measurement(self, model, queries):
        return -self.training_loss(model, queries)
"""


@pytest.mark.usefixtures("ray_cluster")
def test_a_task_in_a_file_beside_the_project_is_trained_by_workers(tmp_path: Path) -> None:
    """Workers are processes of their own, which nobody told where the file is."""
    path = write_arrays(tmp_path, {"name": "task_beside_the_project:Mean"})
    (tmp_path / "task_beside_the_project.py").write_text(BESIDE)
    trained = run(load_project(path), "2026-10", JsonReporter(), "train").outputs["train"]
    assert trained.new and trained.summary.startswith("2 trainings of ")
