"""Recorded trainings and simulated responses: their rows in the lake, and their files.

Files are used only if their SHA-256 is the one in the lake. Kept separate from `simulation/artifacts.py`: Ray
pickles that module to workers, and importing DuckDB there prints an error at exit.
"""

import numpy as np
from numpy.typing import NDArray

from tribute.catalog.runs import lineage
from tribute.config import Project
from tribute.errors import DamagedFile
from tribute.files.sealed import MAKE
from tribute.simulation.artifacts import Replicate, Simulated
from tribute.simulation.response import ResponseFile
from tribute.simulation.units import Unit
from tribute.training import Trajectory
from tribute_storage import open_tables


def recorded_replicates(project: Project) -> list[Replicate]:
    """All replicates of the project's training, in order; empty before the training.

    Raises:
        DamagedFile: the lake holds the training, and this working folder does not hold its files.
    """
    replicates = recorded_trainings(project)
    absent = [replicate.file for replicate in replicates if not replicate.file.is_file()]
    if absent:
        raise DamagedFile(
            f"{absent[0]} is not there, and the lake holds its training. {MAKE.text}; or copy the folder "
            "artifacts from the working folder that trained, or from a backup"
        )
    return replicates


def recorded_trainings(project: Project) -> list[Replicate]:
    """All replicates of the project's training, in order, whether their files are there or not."""
    with open_tables(project.lake_root, "trajectories") as connection:
        rows = connection.execute(
            "select replicate, seed, steps, artifact_uri, artifact_sha256 from trajectories where run_id = $1 "
            "order by replicate",
            [lineage(project).train_run],
        ).fetchall()
    return [
        Replicate(index, seed, steps, Trajectory((project.workdir / uri).parent), sha256)
        for index, seed, steps, uri, sha256 in rows
    ]


def simulated_responses(project: Project, simulate_run: str) -> list[Simulated]:
    """The units of a simulation run with their response files, by unit id and replicate."""
    with open_tables(project.lake_root, "simulations") as connection:
        rows = connection.execute(
            "select unit_id, removed, replicate, artifact_uri, artifact_sha256 from simulations where run_id = $1 "
            "order by unit_id, replicate",
            [simulate_run],
        ).fetchall()
    names, _ = corpus_tokens(project)
    position = {source_id: index for index, source_id in enumerate(names)}
    responses: dict[str, Simulated] = {}
    for unit_id, removed, replicate, uri, sha256 in rows:
        file = ResponseFile(unit_id, replicate, project.workdir / uri, sha256) if uri else None
        unit = Unit(unit_id, tuple(position[source_id] for source_id in removed))
        files = responses[unit_id].files if unit_id in responses else ()
        responses[unit_id] = Simulated(unit, (*files, file))
    return list(responses.values())


def corpus_tokens(project: Project) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The sources of the project's corpus in the order of the training set, and their tokens, [S]."""
    with open_tables(project.lake_root, "corpus_sources") as connection:
        rows = connection.execute(
            "select source_id, tokens from corpus_sources where run_id = $1 order by source_id",
            [lineage(project).corpus_run],
        ).fetchall()
    return tuple(row[0] for row in rows), np.array([row[1] for row in rows], dtype=np.float64)
