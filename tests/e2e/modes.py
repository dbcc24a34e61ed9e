"""A project that is run up to `value` under any settings, and what the lake then holds."""

import json
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.projects import settings
from tribute.config import Project, load_project
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

PERIOD = "2026-10"
SGD = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "batch_size": 8, "epochs": 2, "replicates": 2}


class Listener(JsonReporter):
    """A reporter that keeps the warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warned(self, message: str) -> None:
        self.warnings.append(message)


class Finished(NamedTuple):
    """A project that was run up to `value`."""

    project: Project
    runs: dict[str, str]
    new: list[str]
    warnings: list[str]

    def rows(self, query: str) -> list[tuple]:
        """Rows of a query that names runs as $train, $simulate, $attribute and $value."""
        named = {stage: run_id for stage, run_id in self.runs.items() if f"${stage}" in query}
        with open_tables(self.project.lake_root) as lake:
            return lake.execute(query, named).fetchall()

    def paid_in_full(self) -> bool:
        """Whether publishers' shares, and those of their lines, sum to 1 and nobody is missing."""
        rows = self.rows("select level, share, value_nats from valuations where run_id = $value")
        sums = [
            sum(Fraction(share) for level, share, _ in rows if level == each) for each in ("publisher", "line")
        ]
        return sums == [1, 1] and all(np.isfinite(value) for _, _, value in rows)

    def note(self) -> dict:
        """What the values rest on."""
        [(note,)] = self.rows("select distinct calibration from valuations where run_id = $value")
        return json.loads(note)


def valued(path: Path) -> Finished:
    """Run a project up to `value`."""
    project, listener = load_project(path), Listener()
    outputs = run(project, PERIOD, listener, "value").outputs
    runs = {stage: output.run_id for stage, output in outputs.items()}
    return Finished(project, runs, [stage for stage, output in outputs.items() if output.new], listener.warnings)


def simulation(**changed: object) -> dict:
    return settings()["simulation"] | changed


USES = "(select query_id, weight / inclusion_probability as uses from queries where run_id = $attribute)"
TOTALS = (
    "select source_id, replicate, sum(uses * influence_nats::double) from influence "
    f"join {USES} using (query_id) where run_id = $attribute group by all"
)
