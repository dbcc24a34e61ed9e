"""The table `retrains`: which trainings of a project without some sources are there, and their files."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tribute.catalog import recorded_replicates, retrain_bank, run_id
from tribute.evaluation import FULL_TRAINING
from tribute.files.sealed import Remedy
from tribute.simulation import ResponseFile
from tribute_jobs.context import Context
from tribute_storage import SCHEMAS, open_tables

MAKE = Remedy("The command that needs it, tribute run or tribute evaluate, makes it again, to the same bytes")
"""For a file of the bank."""
DIVERGED: Mapping[str, Any] = {"removed": [], "artifact_uri": None, "artifact_sha256": None}
"""What the bank says of a full training that came to no end."""
BankRow = tuple[int, str, Mapping[str, Any]]
"""Seed and unit id of a training, and its row of `simulations`."""


class Bank:
    """Trainings of one model under any seed, those of the replicates among them.

    The full training of a checkpoint is its further training on all sources. ``files``: by seed and unit id; None:
    the training diverged.
    """

    def __init__(self, context: Context) -> None:
        self._context, self.id = context, retrain_bank(context.project)
        self.folder = context.folder(self.id)
        self.files = self._known()

    def append(self, rows: Sequence[BankRow]) -> None:
        """Commit trainings."""
        if not rows:
            return
        run = run_id("bank", self.id, [[seed, unit_id] for seed, unit_id, _ in rows])
        content = [
            {
                "run_id": run,
                "bank": self.id,
                "seed": seed,
                "unit_id": unit_id,
                "removed": row["removed"],
                "artifact_uri": row["artifact_uri"] and self._context.uri(row["artifact_uri"]),
                "artifact_sha256": row["artifact_sha256"],
            }
            for seed, unit_id, row in rows
        ]
        self._context.lake.append("retrains", run, pa.Table.from_pylist(content, SCHEMAS["retrains"]))
        self.files = self._known()

    def _known(self) -> dict[tuple[int, str], ResponseFile | None]:
        project = self._context.project
        with open_tables(project.lake_root, "retrains") as connection:
            rows = connection.execute(
                "select seed, unit_id, artifact_uri, artifact_sha256 from retrains where bank = $1", [self.id]
            ).fetchall()
        files = {
            (seed, key): ResponseFile(key, 0, project.workdir / uri, sha256, MAKE) if uri else None
            for seed, key, uri, sha256 in rows
        }
        for trained in recorded_replicates(project) if project.training.repetition != "continued" else ():
            path = trained.trajectory.path(trained.steps)
            files[trained.seed, FULL_TRAINING] = ResponseFile(FULL_TRAINING, trained.index, path, trained.sha256)
        return files
