"""MLflow's record of the project: the experiment, its runs, and the places of their artifacts."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tribute.tracking import restore_experiment, tracked
from tribute.tracking.places import database, experiment_name, move_places, moved_places, stored_experiment
from tribute_jobs.doctor.fault import Fault, Repair
from tribute_jobs.doctor.subject import ExaminedProject

MOVED = "The next run corrects them. To do it now: tribute doctor PROJECT.yaml --repair"
TRASHED = (
    "Restore it: tribute doctor PROJECT.yaml --repair, or mlflow.MlflowClient().restore_experiment. Until then, "
    "MLflow takes no record"
)
GONE = (
    "Let the next run of each month track it anew: tribute doctor PROJECT.yaml --repair, then tribute run "
    "PROJECT.yaml --period YYYY-MM"
)
UNREADABLE = (
    "Restore it from a backup; or move it away, and the next run makes a new one. No statement rests on it"
)


def examine_tracking(examined: ExaminedProject) -> Iterator[Fault]:
    """A trashed or deleted experiment, and places that a move has broken; a tracking server is not asked."""
    project, markers = examined.project, sorted(tracked(examined.project).glob("*"))
    if project.tracking.enabled and project.tracking.uri:
        yield Fault(f"{project.tracking.uri} was not asked", "A run warns of what it refuses", grave=False)
    if not project.tracking.enabled or project.tracking.uri:
        return
    path, name = database(project), experiment_name(project)
    try:
        experiment = None if path is None else stored_experiment(project, path)
        moved = {} if path is None else moved_places(project, path)
    except sqlite3.Error as error:
        yield Fault(f"{path} cannot be read: {error}", UNREADABLE)
        return
    if experiment is None and markers:
        step = Repair(
            f"forget that {len(markers)} records were tracked, so that they are again", partial(_forget, markers)
        )
        yield Fault(f"MLflow no longer has the experiment {name}", GONE, grave=False, repair=step)
    elif experiment is not None and experiment.trashed:
        step = Repair(f"restore MLflow's experiment {name} from its trash", partial(restore_experiment, project))
        yield Fault(f"MLflow's experiment {name} is in the trash", TRASHED, repair=step)
    if path is not None and moved:
        step = Repair(
            f"let {len(moved)} places in {path} name {project.workdir / 'mlflow'}",
            partial(move_places, path, moved),
        )
        yield Fault(f"{len(moved)} places in {path} name another folder, such as {min(moved)}", MOVED, False, step)


def _forget(markers: list[Path]) -> None:
    for marker in markers:
        marker.unlink(missing_ok=True)
