"""Every MLflow call of tribute."""

import logging
import os
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# A server that is down must not delay a settlement by minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import mlflow
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Run

from tribute.config import Project
from tribute.tracking.record import TrackedRun

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)
"""Tables and columns in which MLflow keeps places of artifacts."""


def write_run(project: Project, uri: str, record: TrackedRun) -> None:
    """Add a record to the MLflow run of its valuation."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    experiment_id = _experiment(project)
    known = _find(experiment_id, record.run_id)
    with (
        warnings.catch_warnings(),
        mlflow.start_run(
            run_id=known.info.run_id if known else None, run_name=record.title, experiment_id=experiment_id
        ),
    ):
        warnings.simplefilter("ignore")
        mlflow.set_tags({"tribute.run_id": record.run_id, **{f"tribute.{k}": v for k, v in record.tags.items()}})
        mlflow.log_params(dict(record.parameters))
        mlflow.log_metrics(dict(record.metrics))
        for name, (rows, uri) in record.inputs.items():
            data = from_pandas(rows.to_pandas(), source=uri, name=name)
            mlflow.log_input(data, context="attribution")
        for name, rows in record.tables.items():
            mlflow.log_table(rows.to_pandas(), f"{name}.parquet")
        for name, text in record.texts.items():
            mlflow.log_text(text, name)


def _experiment(project: Project) -> str:
    name = f"tribute/valuation/{project.name}"
    known = mlflow.get_experiment_by_name(name)
    # A tracking server chooses where artifacts go; without one they go to the working folder.
    place = None if project.tracking.uri else (project.workdir / "mlflow").resolve().as_uri()
    if known is None:
        return str(mlflow.create_experiment(name, artifact_location=place))
    if place is not None and known.artifact_location != place:
        _move_artifacts(project.workdir / "mlflow.db", known.artifact_location, place)
    return str(known.experiment_id)


def _move_artifacts(database: Path, old: str, new: str) -> None:
    """Let records point to where the artifacts are: MLflow stores absolute places, and the folder was moved."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in PLACES:
            connection.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old), old),
            )


def _find(experiment_id: str, run_id: str) -> Run | None:
    runs = mlflow.search_runs(
        [experiment_id], filter_string=f"tags.`tribute.run_id` = '{run_id}'", output_format="list"
    )
    return runs[0] if runs else None
