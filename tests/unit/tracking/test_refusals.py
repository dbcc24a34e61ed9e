"""MLflow that does not take a record: told in one line with a remedy, and tracked by the next run."""

import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import mlflow
import pytest

from tests.projects import write_project
from tribute.config import Project, load_project
from tribute.tracking import TrackedRun, restore_experiment, track
from tribute.tracking.places import experiment_name

RECORD = TrackedRun("value-1", "press, 2026-10", "valuation", parameters={"seed": 0}, metrics={"queries": 12})


def project(folder: Path, uri: str | None = None) -> Project:
    return load_project(write_project(folder, tracking={"enabled": True, "uri": uri}))


def test_a_server_that_is_down_is_named_with_its_remedy_in_seconds(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
        began = time.monotonic()
        told = track(project(tmp_path, uri), RECORD)
    assert time.monotonic() - began < 10
    assert told is not None and "\n" not in told
    assert told.startswith(f"MLflow at {uri} did not take value-1, which stands all the same: ")
    assert "refused. Start the server, or correct tracking.uri, and run the same command again" in told
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_trashed_experiment_is_named_and_the_next_run_tracks(tmp_path: Path) -> None:
    pressed = project(tmp_path)
    assert track(pressed, TrackedRun("value-0", "before", "valuation")) is None
    experiment = mlflow.get_experiment_by_name(experiment_name(pressed))
    assert experiment is not None
    mlflow.delete_experiment(experiment.experiment_id)
    told = track(pressed, RECORD)
    assert told is not None and "Restore the experiment (tribute doctor PROJECT.yaml --repair)" in told
    restore_experiment(pressed)
    assert track(pressed, RECORD) is None
    assert len(mlflow.search_runs([experiment.experiment_id], output_format="list")) == 2


@pytest.mark.slow
def test_a_locked_database_is_named_without_its_sql_and_the_next_run_tracks(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    """MLflow asks a locked database for 20 seconds."""
    pressed = project(tmp_path)
    assert track(pressed, TrackedRun("value-0", "before", "valuation")) is None
    with closing(sqlite3.connect(pressed.workdir / "mlflow.db")) as other:
        other.execute("begin exclusive")
        told = track(pressed, RECORD)
    assert told is not None and "database is locked. End the program that holds the database" in told
    assert "\n" not in told and "SELECT" not in told
    assert track(pressed, RECORD) is None
    assert "Traceback" not in "".join(capfd.readouterr())
