"""Where MLflow keeps a project's artifacts, as its SQLite database in the working folder says; without MLflow.

MLflow stores absolute places. They break when the folder moves.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlparse

from tribute.config import Project

DATABASE = "mlflow.db"
"""The database, in the working folder."""
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)
"""Tables and columns in which MLflow keeps places of artifacts."""


class Experiment(NamedTuple):
    """A project's experiment in the database."""

    experiment_id: str
    trashed: bool


def experiment_name(project: Project) -> str:
    """What a project's experiment is called."""
    return f"tribute/valuation/{project.name}"


def database(project: Project) -> Path | None:
    """The project's own MLflow database, if there is one; a tracking server has its own."""
    path = project.workdir / DATABASE
    return path if project.tracking.uri is None and path.is_file() else None


def read_only(path: Path) -> sqlite3.Connection:
    """A connection to the database that cannot change it."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def place(project: Project) -> str:
    """Where MLflow's artifacts are when no server chooses: the URI of a folder in the working folder."""
    return (project.workdir / "mlflow").resolve().as_uri()


def stored_experiment(project: Project, path: Path) -> Experiment | None:
    """The project's experiment; None if the database has none. Raises sqlite3.Error where it cannot be read."""
    with closing(read_only(path)) as connection:
        found = connection.execute(
            "select experiment_id, lifecycle_stage from experiments where name = ?", [experiment_name(project)]
        ).fetchone()
    return None if found is None else Experiment(str(found[0]), found[1] == "deleted")


def moved_places(project: Project, path: Path) -> dict[str, str]:
    """Places that a move has broken, and where their content is now: those of the working folder's old places."""
    with closing(read_only(path)) as connection:
        known = {value for table, column in COLUMNS for value in _values(connection, table, column)}
    return dict(sorted(_moved(known, place(project))))


def move_places(path: Path, moved: dict[str, str]) -> None:
    """Let the database point to where the artifacts are."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, column in COLUMNS:
            for old, new in moved.items():
                connection.execute(f"update {table} set {column} = ? where {column} = ?", (new, old))


def _values(connection: sqlite3.Connection, table: str, column: str) -> Iterator[str]:
    yield from (value for (value,) in connection.execute(f"select distinct {column} from {table}") if value)


def _moved(known: set[str], now: str) -> Iterator[tuple[str, str]]:
    for old in known:
        if not old.startswith("file:") or old == now or old.startswith(f"{now}/"):
            continue
        folder, _, rest = old.rpartition("/mlflow")
        new = f"{now}{rest}"
        if folder and rest[:1] in ("", "/") and (new == now or _path(new).exists()):
            yield old, new


def _path(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))
