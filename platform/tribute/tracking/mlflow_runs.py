"""Every MLflow call of tribute."""

import logging
import os
import warnings

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# A server that is down must not delay a settlement by minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import mlflow
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Run

from tribute.config import Project
from tribute.tracking.places import database, experiment_name, move_places, moved_places, place
from tribute.tracking.record import TrackedRun


def write_run(project: Project, uri: str, record: TrackedRun) -> None:
    """Add a record to the MLflow run of its valuation."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.CRITICAL + 1)  # what it logs as an error, it raises too
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
    name = experiment_name(project)
    known = mlflow.get_experiment_by_name(name)
    # A tracking server chooses where artifacts go; without one they go to the working folder.
    if known is None:
        location = None if project.tracking.uri else place(project)
        return str(mlflow.create_experiment(name, artifact_location=location))
    path = database(project)
    if path is not None and (moved := moved_places(project, path)):
        move_places(path, moved)
    return str(known.experiment_id)


def restore_experiment(project: Project, uri: str) -> None:
    """Take a trashed experiment out of MLflow's trash, with its runs."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    client = mlflow.MlflowClient(uri)
    known = client.get_experiment_by_name(experiment_name(project))
    if known is not None and known.lifecycle_stage == "deleted":
        client.restore_experiment(known.experiment_id)


def _find(experiment_id: str, run_id: str) -> Run | None:
    runs = mlflow.search_runs(
        [experiment_id], filter_string=f"tags.`tribute.run_id` = '{run_id}'", output_format="list"
    )
    return runs[0] if runs else None
