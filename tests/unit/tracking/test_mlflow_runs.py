"""MLflow has one run per valuation. An outage fails nothing, and the run is recorded later."""

from dataclasses import replace
from pathlib import Path

import mlflow
import pyarrow as pa
import pytest

from tribute.config import Project, TrackingSettings
from tribute.tracking import TrackedRun, track, tracking_uri

ROWS = pa.table({"publisher_id": ["a", "b"], "value_nats": [1.0, 2.0]})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(name="press", corpus={"kind": "text", "path": "a"}, workdir=tmp_path)


def record(part: str = "valuation") -> TrackedRun:
    return TrackedRun(
        "value-1",
        "2026-10",
        part,
        tags={"period": "2026-10"},
        parameters={"simulation.horizon": 0.2},
        metrics={"queries": 12},
        inputs={"influence": (ROWS, "lake/influence")},
        tables={"valuations": ROWS},
        texts={"report.html": "<p>hello</p>"},
    )


def runs(project: Project) -> list[mlflow.entities.Run]:
    mlflow.set_tracking_uri(tracking_uri(project))
    return mlflow.search_runs(search_all_experiments=True, output_format="list")


def test_a_valuation_is_one_run_however_often_it_is_tracked(project: Project) -> None:
    for part in ("valuation", "valuation", "settlement"):
        assert track(project, record(part)) is None
    [run] = runs(project)
    assert run.data.tags["tribute.run_id"] == "value-1"
    assert run.data.params == {"simulation.horizon": "0.2"}
    assert run.data.metrics == {"queries": 12.0}
    assert run.inputs.dataset_inputs[0].dataset.name == "influence"
    names = {artifact.path for artifact in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
    assert names == {"valuations.parquet", "report.html"}


def test_an_outage_is_reported_and_made_up_for(project: Project) -> None:
    broken = project.model_copy(update={"tracking": TrackingSettings(uri="http://127.0.0.1:9")})
    problem = track(broken, record())
    assert problem is not None
    assert "did not take value-1" in problem
    assert track(project, record()) is None
    assert len(runs(project)) == 1


def test_a_moved_folder_keeps_its_artifacts_together(project: Project, tmp_path: Path) -> None:
    old = project.model_copy(update={"workdir": tmp_path / "old"})
    old.workdir.mkdir()
    assert track(old, record()) is None
    new = project.model_copy(update={"workdir": tmp_path / "new plàce"})
    old.workdir.rename(new.workdir)
    second = record()
    assert track(new, replace(second, run_id="value-2")) is None
    assert len(runs(new)) == 2
    for run in runs(new):
        names = {artifact.path for artifact in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
        assert names == {"valuations.parquet", "report.html"}
    assert not old.workdir.exists()


def test_tracking_can_be_off(project: Project) -> None:
    assert track(project.model_copy(update={"tracking": TrackingSettings(enabled=False)}), record()) is None
    assert not (project.workdir / "mlflow.db").exists()
