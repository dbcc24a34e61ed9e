"""The project that is checked, the month asked for, and what the checks share."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import Lineage, lineage, simulation_runs
from tribute.config import Project
from tribute.corpus import Columns, has_snapshot, load_sources
from tribute.errors import TributeError
from tribute.tasks import FlatTask
from tribute.training import Recipe, TrainingSet, build_model, mapped_training_set
from tribute_jobs.context import Inputs
from tribute_storage import Lake, LakeError, open_tables

QUERIED = ("attribute", "value", "settle", "evaluate", "close", "restate")
"""Last stages of runs that read the month's queries."""
PAID = QUERIED[1:]
"""Last stages of runs that need the month's rights."""


class CheckedSource(NamedTuple):
    """A source of the corpus: its publisher in the metadata, its training tokens."""

    source_id: str
    publisher: str
    tokens: int


def readable_runs(project: Project) -> Lineage | None:
    """The run ids of a project; None while what they are made of cannot be read, which the checks say."""
    try:
        return lineage(project)
    except TributeError:
        return None


@dataclass(frozen=True)
class Subject:
    """What is checked, and for what.

    Args:
        month: whose queries are read, and whose rights must be complete if it is paid; None: no month.
        last: the stage that the run would end with.
        again: also check what was checked before the committed training.
    """

    inputs: Inputs
    month: str | None
    last: str
    again: bool

    @property
    def project(self) -> Project:
        """The project."""
        return self.inputs.project

    @cached_property
    def lake(self) -> Lake:
        """The project's lake."""
        return Lake(self.project.lake_root)

    @cached_property
    def runs(self) -> Lineage | None:
        """See `readable_runs`."""
        return readable_runs(self.project)

    @cached_property
    def snapshot(self) -> Path | None:
        """The folder of the corpus snapshot; None before it is committed."""
        if self.runs is None or not self._committed("corpus_sources", self.runs.corpus_run):
            return None
        folder = self.project.artifacts / self.runs.corpus_run
        return folder if has_snapshot(folder) else None

    @cached_property
    def trained(self) -> bool:
        """Whether the training and all simulations are committed."""
        if self.runs is None or not self._committed("trajectories", self.runs.train_run):
            return False
        return all(self._committed("simulations", run.run_id) for run in simulation_runs(self.project))

    def _committed(self, table: str, run_id: str) -> bool:
        return self.lake.committed(table, run_id)

    @cached_property
    def sources(self) -> list[CheckedSource] | None:
        """The sources of the corpus, by id; None if it cannot be read."""
        try:
            if self.snapshot is None:
                read = self.inputs.corpus().sources
                return [CheckedSource(e.source.source_id, e.source.publisher, e.tokens) for e in read]
            assert self.runs is not None
            with open_tables(self.project.lake_root, "corpus_sources") as connection:
                rows = connection.execute(
                    "select source_id, publisher, tokens from corpus_sources where run_id = $1 order by 1",
                    [self.runs.corpus_run],
                ).fetchall()
            return [CheckedSource(*row) for row in rows]
        except (TributeError, LakeError):
            return None

    def examples(self) -> Iterator[tuple[str, Columns]]:
        """The training examples of every source.

        Raises:
            CorpusError: the corpus cannot be read.
        """
        if self.snapshot is not None:
            return load_sources(self.snapshot)
        return ((each.source.source_id, each.train) for each in self.inputs.corpus().sources)

    @cached_property
    def data(self) -> TrainingSet:
        """The examples of the snapshot; without one as many as the corpus has, all like the first.

        It is for the sizes of a training.
        """
        if self.snapshot is not None:
            return mapped_training_set(self.snapshot)
        counts, columns = dict[str, int](), dict[str, NDArray]()
        for source_id, columns in self.examples():
            counts[source_id] = len(next(iter(columns.values())))
        total, source_N = sum(counts.values()), np.repeat(np.arange(len(counts)), list(counts.values()))
        alike = {name: np.broadcast_to(rows[:1], (total, *rows.shape[1:])) for name, rows in columns.items()}
        return TrainingSet(tuple(counts), source_N, alike)

    @cached_property
    def model(self) -> FlatTask:
        """The model as its checkpoint or recordings have it.

        Raises:
            ConfigError: it cannot be built or loaded.
        """
        return build_model(self.project.task, self.project.training)

    def recipe(self, replicate: int = 0) -> Recipe:
        """The training of a replicate, on `data`."""
        training = self.project.training
        recording = training.recordings[replicate] if training.recordings else None
        seed, frozen = training.seed + replicate, self.model.frozen
        return Recipe(self.project.task, training, self.data, seed, recording=recording, frozen=frozen)

    @property
    def paid_month(self) -> str | None:
        """The month, if it is paid."""
        return self.month if self.last in PAID else None
