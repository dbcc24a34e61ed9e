"""Files of corpus snapshots, trainings, simulations and the bank of retrains, against their recorded SHA-256."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tribute.catalog import RecordedArtifact, recorded_artifacts, retrain_bank
from tribute.corpus.snapshot import MANIFEST, READ, snapshot_files
from tribute.errors import TributeError
from tribute.estimators import FITTED
from tribute.files.sealed import ABSENT, MAKE, SUFFIX, Remedy, intact, problem_of, remove_sealed, sealed_by
from tribute_jobs.compute.bank import MAKE as RETRAIN
from tribute_jobs.doctor.fault import Fault, Repair
from tribute_jobs.doctor.subject import ExaminedProject
from tribute_storage import LakeDamaged

Check = Callable[[], Iterator[Fault]]
DAMAGED = "is damaged: its SHA-256 is not the recorded one"
RESTORE = "Restore it from a backup"
EARLIER = "It is of an earlier run, and nothing is computed from it today. Restore it from a backup if you need it"
MOVED = "Its path is absolute, and the folder moved. Link the old folder to the new one: ln -s NEW OLD"
MADE_AGAIN = {"trajectories": MAKE, "simulations": MAKE, "retrains": RETRAIN}
"""The remedy for the artifacts of each table that can be computed again."""


def examine_artifacts(examined: ExaminedProject) -> Iterator[Fault]:
    """Every artifact that is missing or not what was written. Reading many gigabytes takes minutes."""
    recorded = {each.path: each for table in MADE_AGAIN for each in _of_table(examined, table)}
    seals = sorted(examined.project.artifacts.rglob(f"*{SUFFIX}"))
    sealed = [path for path in map(sealed_by, seals) if path not in recorded and path.name != MANIFEST]
    checks: list[Check] = [
        *_snapshot(examined),
        *(partial(_recorded, examined, each) for each in recorded.values()),
        *(partial(_sealed, path) for path in sealed),
    ]
    for done, check in enumerate(checks, 1):
        yield from check()
        examined.advanced(done, len(checks))


def _of_table(examined: ExaminedProject, table: str) -> list[RecordedArtifact]:
    """The artifacts of a table; none of a damaged one, which is a fault of its own."""
    try:
        return list(recorded_artifacts(examined.project, table))
    except LakeDamaged:
        return []


def _snapshot(examined: ExaminedProject) -> Iterator[Check]:
    """The checks of the snapshot of the project's corpus, if it was read."""
    runs = examined.runs
    if runs is None or not examined.lake.committed("corpus_sources", runs.corpus_run):
        return
    folder = examined.project.artifacts / runs.corpus_run
    manifest = folder / MANIFEST
    if not manifest.is_file():
        yield lambda: iter([Fault(f"{manifest} {ABSENT}", READ.text)])
    elif not intact(manifest):
        yield lambda: iter([_removable(manifest, DAMAGED, READ)])
    else:
        for path, sha256 in snapshot_files(folder).items():
            yield partial(_of_snapshot, path, sha256)


def needed(path: Path) -> bool:
    """Whether a file whose SHA-256 is there is missed: a state of a training, or an estimator's fit."""
    return path.name.startswith("step-") or path.name == FITTED


def _of_snapshot(path: Path, sha256: str | None) -> Iterator[Fault]:
    if problem := problem_of(path, *filter(None, [sha256])):
        yield _removable(path, problem, READ)


def _sealed(path: Path) -> Iterator[Fault]:
    """A file whose SHA-256 stands beside it."""
    if path.is_file() and not intact(path):
        yield _removable(path, DAMAGED, MAKE)
    elif needed(path) and not path.is_file():
        yield Fault(f"{path} {ABSENT}", MAKE.text)


def _recorded(examined: ExaminedProject, each: RecordedArtifact) -> Iterator[Fault]:
    problem = problem_of(each.path, each.sha256)
    if problem is None:
        return
    if not _current(examined, each):
        if each.path.is_file():
            yield Fault(f"{each.path} {problem}", EARLIER, grave=False)
    elif Path(each.uri).is_absolute() and not each.path.is_file():
        yield Fault(f"{each.path} {problem}, and table {each.table} names it", MOVED)
    elif each.table == "retrains" and not _in_batch(each.path):
        yield Fault(f"{each.path} {problem}", RESTORE)
    else:
        yield _removable(each.path, problem, MADE_AGAIN[each.table])


def _current(examined: ExaminedProject, each: RecordedArtifact) -> bool:
    """Whether the project as it stands computes from an artifact."""
    if each.table == "retrains":
        return each.path.is_relative_to(examined.project.artifacts / (_bank(examined) or "none"))
    runs = {run.run_id for run in examined.simulations}
    return each.run_id in runs | ({examined.runs.train_run} if examined.runs else set())


def _bank(examined: ExaminedProject) -> str | None:
    try:
        return retrain_bank(examined.project) if examined.runs else None
    except TributeError:
        return None


def _in_batch(path: Path) -> bool:
    """Whether a retrain's batch is known, so that it can be made again; a whole training needs none."""
    return path.name.startswith("step-") or intact(path.parent / f"{path.parent.name}.json")


def _removable(path: Path, problem: str, remedy: Remedy) -> Fault:
    """A file that a command makes again once it is gone."""
    repair = Repair(f"delete {path}: {remedy.text}", partial(remove_sealed, path)) if path.is_file() else None
    return Fault(f"{path} {problem}", remedy.of(problem), repair=repair)
