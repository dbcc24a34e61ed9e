"""Tracks valuations in MLflow: one run per valuation, with its parameters, inputs, metrics and artifacts.

Tracking comes after the lake has committed. An outage of MLflow is reported and changes no valuation; the next run
of the same command tracks it. MLflow is imported when there is something to write.
"""

from pathlib import Path

from tribute.config import Project
from tribute.tracking.places import DATABASE
from tribute.tracking.record import TrackedRun
from tribute.tracking.refusals import refusal, require_answer

__all__ = ["TrackedRun", "restore_experiment", "track", "tracked", "tracking_uri"]


def tracking_uri(project: Project) -> str:
    """`tracking.uri`, or SQLite in the working folder."""
    return project.tracking.uri or f"sqlite:///{project.workdir / DATABASE}"


def tracked(project: Project) -> Path:
    """The folder with a file for every record that MLflow took."""
    return project.artifacts / "tracked"


def track(project: Project, record: TrackedRun) -> str | None:
    """Write `record` to the MLflow run of its valuation, and create that run if there is none.

    Returns:
        None, or why MLflow did not take the record and how it gets it later.
    """
    marker = tracked(project) / f"{record.run_id}-{record.part}"
    if not project.tracking.enabled or marker.exists():
        return None
    from tribute.tracking.mlflow_runs import write_run  # noqa: PLC0415  (MLflow takes seconds to import)

    uri = tracking_uri(project)
    try:
        require_answer(uri)
        write_run(project, uri, record)
    except Exception as error:  # whatever the tracking server does, the valuation stands
        return (
            f"MLflow at {uri} did not take {record.run_id}, which stands all the same: {refusal(error, uri)}, and "
            "run the same command again to track it"
        )
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return None


def restore_experiment(project: Project) -> None:
    """Take the project's experiment out of MLflow's trash, if it is there."""
    from tribute.tracking.mlflow_runs import restore_experiment as restore  # noqa: PLC0415  (as above)

    restore(project, tracking_uri(project))
