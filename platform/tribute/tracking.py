"""Every MLflow call of tribute: one run per valuation, with its parameters, inputs, metrics and artifacts.

Tracking comes after the lake has committed and may fail without consequence: the outage is reported, the
valuation stands, and the next run of the same command tracks it.
"""

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# A server that is down must not hold a settlement up for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import mlflow
import pyarrow as pa
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Run

from tribute.config import Project


@dataclass(frozen=True)
class TrackedRun:
    """What is tracked of one valuation (or added to it when it is settled)."""

    run_id: str
    title: str
    part: str
    """Which part of the valuation's record this is; each part is written once."""
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, tuple[pa.Table, str]] = field(default_factory=dict)
    """Data sets by name: the rows and the URI they came from."""
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def tracking_uri(project: Project) -> str:
    """`tracking.uri`, or SQLite in the working folder."""
    return project.tracking.uri or f"sqlite:///{project.workdir / 'mlflow.db'}"


def track(project: Project, record: TrackedRun) -> str | None:
    """Write `record` to the MLflow run of its valuation, which is made if it is not there.

    Returns:
        None, or why it could not be tracked.
    """
    marker = project.artifacts / "tracked" / f"{record.run_id}-{record.part}"
    if not project.tracking.enabled or marker.exists():
        return None
    try:
        _write(project, record)
    except Exception as error:  # whatever the tracking server does, the valuation stands
        return f"MLflow at {tracking_uri(project)} did not take {record.run_id}: {error}"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return None


def _write(project: Project, record: TrackedRun) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(tracking_uri(project))
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
    if known is not None:
        return str(known.experiment_id)
    # A server keeps its artifacts where it wants to; without one they lie in the working folder.
    place = None if project.tracking.uri else (project.workdir / "mlflow").resolve().as_uri()
    return str(mlflow.create_experiment(name, artifact_location=place))


def _find(experiment_id: str, run_id: str) -> Run | None:
    found = mlflow.search_runs(
        [experiment_id], filter_string=f"tags.`tribute.run_id` = '{run_id}'", output_format="list"
    )
    return found[0] if found else None
