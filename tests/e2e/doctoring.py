"""Faults that a closed project may be left with: what they do to its folder, and what the doctor has to say."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tribute.catalog import lineage, recorded_trainings, simulated_responses
from tribute.config import Project
from tribute_jobs.period.statements import statement_folder

PERIOD = "2026-10"
SIGNED = "Put the signed file back from a copy"
SIMULATE = "tribute simulate PROJECT.yaml makes it again"


class Left(NamedTuple):
    """A fault: what makes it and gives the words that name it, its remedy, and whether a repair takes it away."""

    make: Callable[[Project], str]
    remedy: str
    repaired: bool


def flip(path: Path) -> str:
    """Flip a bit in the middle of a file; its name."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return str(path)


def cut(path: Path) -> str:
    """Cut a file in half; its name."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return str(path)


def remove(path: Path) -> str:
    """Delete a file; its name."""
    path.unlink()
    return str(path)


def old(path: Path, content: bytes = b"half") -> str:
    """A file that nobody has touched for two days; its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    before = time.time() - 2 * 86_400
    os.utime(path, (before, before))
    return str(path)


def response(project: Project) -> Path:
    """A file of the main simulation."""
    first, *_ = simulated_responses(project, lineage(project).simulate_run)
    [file, *_] = [file for file in first.files if file is not None]
    return file.path


def state(project: Project) -> Path:
    """A state between the first and the last of a training."""
    [first, *_] = recorded_trainings(project)
    return first.trajectory.path(first.trajectory.steps()[1])


def final(project: Project) -> Path:
    """The folder of the newest version of the month."""
    return statement_folder(project, PERIOD, 2)


def in_mlflow(project: Project, command: str, *values: str) -> None:
    """Change MLflow's database."""
    with closing(sqlite3.connect(project.workdir / "mlflow.db")) as connection, connection:
        connection.execute(command, values)


def trash(project: Project) -> str:
    """Put MLflow's experiment into the trash."""
    name = f"tribute/valuation/{project.name}"
    in_mlflow(project, "update experiments set lifecycle_stage = 'deleted' where name = ?", name)
    return f"MLflow's experiment {name} is in the trash"


def snapshot(project: Project) -> Path:
    """A file of the corpus snapshot."""
    return project.artifacts / lineage(project).corpus_run / "train-00000.shard"


FAULTS = {
    "flipped checkpoint": Left(lambda p: flip(recorded_trainings(p)[0].file), SIMULATE, True),
    "cut response": Left(lambda p: cut(response(p)), SIMULATE, True),
    "flipped state": Left(lambda p: flip(state(p)), SIMULATE, True),
    "lost checkpoint": Left(lambda p: remove(recorded_trainings(p)[1].file), SIMULATE, False),
    "flipped snapshot": Left(lambda p: flip(snapshot(p)), "tribute train PROJECT.yaml makes it again", True),
    "flipped bundle": Left(lambda p: flip(final(p) / "bundle.json"), SIGNED, False),
    "cut statement": Left(lambda p: cut(final(p) / "planet.json"), "tribute close PROJECT.yaml --period", True),
    "lost page": Left(lambda p: remove(final(p) / "arena.html"), "tribute close PROJECT.yaml --period", False),
    "trashed experiment": Left(trash, "Restore it: tribute doctor", True),
    "temporary file": Left(lambda p: old(p.workdir / f".last_run.json.{'a' * 32}"), "Delete it", True),
    "orphan": Left(lambda p: old(Path(p.lake_root) / "influence" / "v1-x.parquet"), "Delete it", True),
    "cut cache": Left(lambda p: cut(p.workdir / "last_run.json"), "Delete it", True),
    "stray folder": Left(
        lambda p: str(Path(old(p.workdir / "statements" / "2026-11-v1" / "period.csv")).parent),
        "No version of the lake has it",
        False,
    ),
}
