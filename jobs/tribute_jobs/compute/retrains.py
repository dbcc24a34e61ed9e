"""The bank of retrains: every training without some sources is computed once, and reused by all months.

A recorded loop is replayed, a checkpoint is trained further: see `TrainingSettings.repetition`.

Legend: Q queries, U sets of sources, K trainings, P parameters.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tribute.catalog import run_id
from tribute.cluster import ReadOutJob, SimulateJob, chunks
from tribute.corpus import QueryTable
from tribute.errors import SimulationError
from tribute.evaluation import FULL_TRAINING
from tribute.files.sealed import Remedy, require_sealed
from tribute.readout import QueryRows
from tribute.simulation import Unit, fit
from tribute_jobs.compute.bank import DIVERGED, Bank, BankRow
from tribute_jobs.compute.full_trainings import FULL_FILE, FullTrainings
from tribute_jobs.compute.recorded import lost_files, require_same
from tribute_jobs.context import Context

CHUNK = 10
"""Retrains in one batch of trajectories: enough to be fast, few enough to keep all workers busy."""
UNITS_PER_JOB = 8
RESTORE = Remedy("Restore it from a backup, or evaluate under another evaluation.first_seed", again=False)
"""For a file of the bank that names what was retrained."""


class Retrains:
    """Trainings of the project without sets of sources, under any seed; of recorded loops, under their own seeds.

    Args:
        chunk: most of them in one batch of trajectories.
    """

    def __init__(self, context: Context, chunk: int = CHUNK) -> None:
        self.context, self.workers = context, context.workers()
        self.bank, self._failed = Bank(context), dict[int, SimulationError]()
        self.repetition = context.project.training.repetition
        self._settings = context.project.simulation.retraining(self.repetition, chunk)
        self.full = FullTrainings(context, self.bank, self._settings)
        self.banked = self.new = 0

    def complete(self, wanted: Mapping[int, Sequence[Unit]], part: str = "retrains") -> None:
        """Retrain in parallel what the bank lacks, and commit it.

        Args:
            wanted: the sets of sources to leave out, by seed.
            part: what progress calls the work.

        Raises:
            SimulationError: the full training of a seed diverged.
            ConfigError: a seed is none of the recordings'.
        """
        ids = {seed: [FULL_TRAINING, *(unit.unit_id for unit in sets)] for seed, sets in wanted.items()}
        self._make_again([(seed, unit_id) for seed, each in ids.items() for unit_id in each])
        for seed in wanted.keys() - self.trained(wanted):
            raise self._failed.get(seed) or SimulationError(
                f"The full training under seed {seed} diverged before, so nothing can be judged by it. Choose "
                "another evaluation.first_seed, or lower training.learning_rate"
            )
        units = {seed: {unit.unit_id: unit for unit in sets} for seed, sets in wanted.items()}
        missing = {s: [u for key, u in by.items() if (s, key) not in self.bank.files] for s, by in units.items()}
        self.new = sum(map(len, missing.values()))
        self.banked = sum(map(len, units.values())) - self.new
        jobs = [job for seed, new in missing.items() for job in self._jobs(seed, new)]
        self.bank.append(self._simulate(jobs, part))

    def trained(self, seeds: Iterable[int]) -> list[int]:
        """Those of some seeds whose full training did not diverge; trains what the bank lacks, and commits it."""
        new = [seed for seed in seeds if (seed, FULL_TRAINING) not in self.bank.files]
        rows = list[BankRow]()
        for seed, row in zip(new, self.full.run(new), strict=True):
            if isinstance(row, SimulationError):
                self._failed[seed] = row
            elif isinstance(row, Exception):
                raise row
            rows.append((seed, FULL_TRAINING, DIVERGED if seed in self._failed else row | {"removed": []}))
        self.bank.append(rows)
        return [seed for seed in seeds if self.bank.files[seed, FULL_TRAINING] is not None]

    def lost(self, seed: int, units: Sequence[Unit], queries: QueryTable) -> NDArray[np.float64]:
        """Measurement of a seed's full training minus that without each set, [Q, U] nats; NaN: it diverged."""
        thetas, rows = self.workers.put([self.full.final(seed).numpy()]), self.workers.put(QueryRows.of(queries))
        files = [(unit.unit_id, (self.bank.files[seed, unit.unit_id],)) for unit in units]
        jobs = [
            ReadOutJob("difference", "all", tuple(files[u] for u in c)) for c in chunks(len(files), UNITS_PER_JOB)
        ]
        pieces = self.context.run_jobs(
            "read-outs of retrains", jobs, lambda actor, job: actor.read_out.remote(thetas, rows, job)
        )
        return np.concatenate([influence[0] for influence, _ in pieces], axis=1).astype(np.float64)

    def _simulate(self, jobs: Sequence[SimulateJob], part: str = "retrains") -> list[BankRow]:
        for seed in dict.fromkeys(job.seed for job in jobs):
            self.full.of(seed)
        done = self.context.run_jobs(part, jobs, lambda actor, job: actor.simulate.remote(job))
        return [(job.seed, row["unit_id"], row) for job, rows in zip(jobs, done, strict=True) for row in rows]

    def _make_again(self, keys: Sequence[tuple[int, str]]) -> None:
        """Make files of the bank again that are gone: a retrain in its old batch, so to the same bytes.

        Raises:
            DamagedFile: what was made differs from what the lake records, or a batch cannot be made again.
        """
        known = {key: file for key in keys if (file := self.bank.files.get(key)) is not None}
        lost = lost_files({file.path: file.sha256 for file in known.values()})
        gone = {key: file.path for key, file in known.items() if file.path in lost}
        if not gone:
            return
        self.context.reporter.warned(f"Files of the bank of retrains are gone ({len(gone):,}): made again")
        trained = self.full.run([seed for seed, key in gone if key == FULL_TRAINING])
        for error in filter(lambda row: isinstance(row, Exception), trained):
            raise error
        batches = {path.parent: seed for (seed, key), path in gone.items() if key != FULL_TRAINING}
        names = self.context.source_ids()
        self._simulate([self._restored(seed, _batch(folder, names), folder) for folder, seed in batches.items()])
        require_same(lost)

    def _job(self, seed: int, units: tuple[Unit, ...], folder: Path, *, alone: bool) -> SimulateJob:
        trajectory, end, steps = self.full.start(seed)
        return SimulateJob(
            folder.name,
            units,
            folder,
            0,
            seed,
            self._settings,
            trajectory,
            0,
            end,
            steps,
            self.full.recipe(seed).recording,
            full=folder.parent / FULL_FILE,
            alone=alone,
        )

    def _restored(self, seed: int, units: tuple[Unit, ...], folder: Path) -> SimulateJob:
        alone = len(units) == 1 and fit(self.full.recipe(seed), self._settings).alone
        return self._job(seed, units, folder, alone=alone)

    def _jobs(self, seed: int, units: Sequence[Unit]) -> list[SimulateJob]:
        if not units:
            return []
        fitting, jobs = fit(self.full.recipe(seed), self._settings), list[SimulateJob]()
        for chosen in chunks(len(units), fitting.chunk):
            part = tuple(units[u] for u in chosen)
            name = run_id("chunk", [unit.unit_id for unit in part])
            jobs.append(self._job(seed, part, self.bank.folder / f"seed-{seed}" / name, alone=fitting.alone))
        return jobs


def _batch(folder: Path, source_ids: Sequence[str]) -> tuple[Unit, ...]:
    """The units that were retrained together, with their files in a folder."""
    rows_file = folder / f"{folder.name}.json"
    require_sealed(rows_file, RESTORE)
    position = {name: index for index, name in enumerate(source_ids)}
    rows = json.loads(rows_file.read_text())
    return tuple(Unit(row["unit_id"], tuple(position[name] for name in row["removed"])) for row in rows)
