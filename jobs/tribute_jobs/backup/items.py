"""The files of a backup: where each is read, where it is restored, and what its content has to be."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from tribute.config import Project
from tribute.corpus.snapshot import MANIFEST, snapshot_files
from tribute.errors import TributeError
from tribute.files.sealed import SUFFIX, recorded_digests, sealed_by
from tribute_jobs.backup.moment import IN_PROGRESS, MADE, TRACKED, Moment, files_below
from tribute_jobs.backup.places import Places
from tribute_jobs.period.files import SUMS, recorded_sums
from tribute_storage import Lake, LakeDamaged, LakeError
from tribute_storage.errors import Damage
from tribute_storage.upkeep.capture import files_of_version, named_artifacts

LAST_RUN, PUBLIC_KEY = "last_run.json", "signing-key.pub"


class Item(NamedTuple):
    """A file to back up.

    Attributes:
        path: where it is restored.
        read: opens it.
        local: where it is on this machine; None: in an object store.
        sha256: how the SHA-256 of its content has to begin, in one of these ways; none: any content will do.
        loose: it may be gone or change until it is read.
    """

    path: str
    read: Callable[[], BinaryIO]
    local: Path | None = None
    sha256: tuple[str, ...] = ()
    loose: bool = False


class Collected(NamedTuple):
    """Items, and what is wrong with the state that they show."""

    items: list[Item]
    problems: list[str]


def lake_items(lake: Lake, places: Places, now: Moment) -> Collected:
    """All files of the lake's tables in their versions."""
    found = Collected([], [])
    for table, version in now.versions.items():
        try:
            for file in files_of_version(lake, table, version):
                local = None if lake.location.remote else Path(lake.root, file.name)
                found.items.append(
                    Item(f"{places.lake}/{file.name}", _opener(lake, file.name), local, (file.sha256,))
                )
        except LakeDamaged as problem:
            found.problems.extend(damages(lake, problem.found))
    return found


def damages(lake: Lake, found: Sequence[Damage]) -> list[str]:
    """Damaged files of the lake, each in one line."""
    return [f"{lake.root}/{each.file} {each.what}. {each.remedy}" for each in found]


def made_items(project: Project, lake: Lake, places: Places, now: Moment) -> Collected:
    """Files of the working folder: artifacts, which tables name with their SHA-256, and statements."""
    named, problems = dict[str, str](), list[str]()
    for table, version in now.versions.items():
        try:
            named |= named_artifacts(lake, {table: version})
        except (LakeError, OSError, pa.ArrowException) as problem:
            problems.append(f"Table {table} of {lake.root} cannot be read: {problem}")
    alone = [PUBLIC_KEY, *([LAST_RUN] if "corpus_sources" in now.versions else [])]
    loose_files = [*_loose(project), *(project.workdir / name for name in alone)]
    below = {path.relative_to(project.workdir).as_posix() for path in loose_files} - now.files.keys()
    absent = sorted(named.keys() - now.files.keys() - below)
    problems += [f"{project.workdir / name} is missing" for name in absent]
    recorded = dict[str, tuple[str, ...]]()
    try:
        recorded = _recorded(project.workdir, now)
    except TributeError as problem:
        problems.append(str(problem))
    recorded |= {name: (sha256,) for name, sha256 in named.items()}
    fixed = [
        file_item(f"{places.workdir}/{name}", project.workdir / name, *recorded.get(name, ()))
        for name in sorted(now.files)
    ]
    loose = [
        file_item(f"{places.workdir}/{name}", project.workdir / name, *recorded.get(name, ()))._replace(loose=True)
        for name in sorted(below)
    ]
    return Collected([*fixed, *loose], problems)


def file_item(path: str, local: Path, *sha256: str) -> Item:
    """A file of this machine, which has to have one of these digests; none: any content will do."""
    return Item(path, lambda: local.open("rb"), local, sha256)


def _recorded(workdir: Path, now: Moment) -> dict[str, tuple[str, ...]]:
    """Digests that files of the working folder name: those beside a file, of a snapshot, and of statements."""
    found = dict[str, tuple[str, ...]]()
    for name in now.files:
        path = workdir / name
        if name.endswith(SUFFIX):
            found[name.removesuffix(SUFFIX)] = tuple(recorded_digests(sealed_by(path)))
        elif path.name == MANIFEST and path.parent.parent.name == MADE[0]:
            digests = snapshot_files(path.parent).items()
            found |= {each.relative_to(workdir).as_posix(): (sha256,) for each, sha256 in digests if sha256}
        elif path.name == SUMS:
            sums = recorded_sums(path.parent).items()
            found |= {(Path(name).parent / each).as_posix(): (sha256,) for each, sha256 in sums}
    return found


def _opener(lake: Lake, name: str) -> Callable[[], BinaryIO]:
    return lambda: lake.location.open(name)


def _loose(project: Project) -> Iterator[Path]:
    """Files that may change meanwhile: counts of steps, checkpoints of jobs, MLflow's artifacts."""
    for name in MADE:
        yield from (path for path in files_below(project.workdir / name) if path.name.endswith(IN_PROGRESS))
    yield from files_below(project.workdir / TRACKED)
