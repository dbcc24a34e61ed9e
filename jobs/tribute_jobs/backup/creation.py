"""Makes a backup: everything of one moment, stored by content, then the manifest."""

import hashlib
import importlib.metadata
import stat
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tribute.config import Project
from tribute.errors import BusyError, ConfigError, DamagedFile, itemised
from tribute.files import yaml_value
from tribute.files.digests import RememberedDigests, file_record
from tribute.progress import OnDone
from tribute_jobs.backup.databases import service_databases, tracking_database
from tribute_jobs.backup.inputs import project_inputs
from tribute_jobs.backup.items import Item, damages, file_item, lake_items, made_items
from tribute_jobs.backup.manifest import BackupFile, BackupManifest
from tribute_jobs.backup.moment import moment
from tribute_jobs.backup.places import Places
from tribute_jobs.backup.project_file import with_settings
from tribute_jobs.backup.target import Target
from tribute_jobs.period.proof import key_file
from tribute_storage import Lake, LakeDamaged, damage
from tribute_storage.upkeep.capture import table_versions

PART = 64 * 2**20
"""Bytes of the parts that a large file is cut into. One of them is in memory at a time."""
ATTEMPTS = 3


class Made(NamedTuple):
    """A backup that was made: its id, its manifest, and the bytes of objects that were new."""

    backup_id: str
    manifest: BackupManifest
    written: int


def back_up(file: Path, project: Project, target: Target, advanced: OnDone, part: int = PART) -> Made:
    """Store everything that a project made and reads, as of one moment. Runs go on meanwhile.

    Args:
        file: the project's project.yaml.
        advanced: called with the number of files that are stored, and of all.
        part: see `PART`.

    Raises:
        DamagedFile: files are missing or not what was written; names all of them. No backup was made.
        BusyError: the project kept changing.
        MachineError: the target cannot be read or written.
        ConfigError: the target holds backups of another project, or lies in the working folder.
    """
    newest = _require_own(project, target)
    digests = RememberedDigests(project.workdir / "backup_digests.json", smallest=0)
    store = Store(target, key_file(project), digests, newest, part)
    before, lake = target.written, Lake(project.lake_root)
    for _ in range(ATTEMPTS):
        try:
            manifest, problems = _made(file, project, store, advanced)
        except LakeDamaged:  # a log cannot be read, so there is no version of its table
            raise _damaged(project, damages(lake, damage(lake))) from None
        if not problems and not target.lost(manifest):
            digests.remember()
            if newest is not None and manifest.time <= newest.time:  # the clock went back: ids follow each other
                manifest = manifest.model_copy(update={"time": newest.time + timedelta(seconds=1)})
            return Made(target.add(manifest), manifest, target.written - before)
        if problems and table_versions(lake) == manifest.tables:
            raise _damaged(project, problems)
    raise BusyError(
        f"Files of {lake.root} or {target.uri} are deleted while they are needed. Run the same command later"
    )


def _damaged(project: Project, problems: Sequence[str]) -> DamagedFile:
    headline = (
        f"{project.name} has damaged files ({len(problems)}), and no backup was made. Put them back from an "
        "earlier one; tribute doctor says what else makes them again:"
    )
    return DamagedFile(itemised(headline, problems, len(problems)))


def _require_own(project: Project, target: Target) -> BackupManifest | None:
    """The newest backup of the target, if there is one; it has to be of this project."""
    for folder in (project.workdir, project.lake_root):
        if f"{target.uri}/".startswith(f"{folder}/"):
            raise ConfigError(
                f"{target.uri} lies in {folder}, which it is to back up. Choose another disk, or a bucket"
            )
    if not target.ids():
        return None
    _, newest = target.manifest()
    if newest.project != project.name:
        raise ConfigError(
            f"{target.uri} holds backups of project {newest.project!r}, and this one is {project.name!r}. Give "
            "each project a place of its own"
        )
    return newest


def _made(file: Path, project: Project, store: "Store", advanced: OnDone) -> tuple[BackupManifest, list[str]]:
    """The manifest of a backup whose objects are stored, and the problems of its files."""
    root, lake = file.resolve().parent, Lake(project.lake_root)
    places = Places(project, yaml_value(file.read_bytes()), root)
    _require_changeable(file, places)
    with tempfile.TemporaryDirectory() as scratch:
        served = service_databases(project, places, Path(scratch))
        now = moment(project, lake)
        inputs = project_inputs(project, places)
        items = [file_item(file.name, file), *(file_item(*each) for each in inputs.files.items())]
        made, tables = made_items(project, lake, places, now), lake_items(lake, places, now)
        tracked = tracking_database(project, places, Path(scratch))
        parts = (served, tracked, made, tables)
        problems = [problem for part in parts for problem in part.problems]
        items += [item for part in parts for item in part.items]
        files = dict[str, BackupFile]()
        for number, item in enumerate(items, 1):
            stored, problem = store.add(item)
            problems += [problem] if problem else []
            if stored is not None:
                files[stored.path] = stored
            advanced(number, len(items))
    key = key_file(project)
    manifest = BackupManifest(
        format=1,
        tribute=importlib.metadata.version("tribute"),
        project=project.name,
        time=datetime.now(UTC).replace(microsecond=0),
        project_file=file.name,
        workdir=places.workdir,
        lake=places.lake,
        signing_key=places.of(key) or str(key),
        tables=dict(now.versions),
        settings=tuple(places.settings),
        notes=tuple(inputs.notes),
        files=tuple(files[path] for path in sorted(files)),
    )
    return manifest, problems


def _require_changeable(file: Path, places: Places) -> None:
    """Check that a restoration will be able to change the settings that name other places."""
    try:
        with_settings(file.read_bytes(), places.settings)
    except ValueError as problem:
        listed = ", ".join(f"{each.key} to {each.now}" for each in places.settings)
        raise ConfigError(
            f"A restoration of {file} would have to set {listed}, but {problem}. Write one setting a line"
        ) from None


class Store:
    """Puts files into a target, each content once, and the key never.

    Args:
        key: the file of the signing key.
        digests: by which a file is recognised that has not changed since it was read.
        newest: the newest backup of the target; it says what large files are joined from.
        part: see `PART`.
    """

    def __init__(
        self, target: Target, key: Path, digests: RememberedDigests, newest: BackupManifest | None, part: int
    ) -> None:
        self._target, self._key, self._digests, self._part = target, key, digests, part
        self._parts = {file.sha256: file.parts for file in (newest.files if newest else ()) if file.parts}

    def add(self, item: Item) -> tuple[BackupFile | None, str]:
        """Store a file, unless its content is there: its entry (None: there is none), and what is wrong with it.

        The signing key is never stored, whatever its name.
        """
        try:
            mode = 0o644 if item.local is None else stat.S_IMODE(item.local.stat().st_mode)
            before = [] if item.local is None else file_record(item.local)
            if item.local is not None and self._is_key(item.local):
                return None, ""
            stored = self._known(item) or self._read(item)
        except FileNotFoundError:
            return None, "" if item.loose else f"{item.local or item.path} is missing"
        except OSError as error:
            return None, f"{item.local or item.path} cannot be read: {error.strerror or error}"
        if item.sha256 and not stored.sha256.startswith(item.sha256):
            return None, f"{item.local or item.path} is not what was written: its SHA-256 differs"
        if item.local is not None:
            self._digests.learn(item.local, stored.sha256, before)
        return stored.model_copy(update={"mode": mode}), ""

    def _known(self, item: Item) -> BackupFile | None:
        """The entry of a file that has not changed since it was read, and whose content is in the target."""
        sha256 = self._digests.recall(item.local) if item.local else None
        if item.local is None or sha256 is None:
            return None
        size, parts = item.local.stat().st_size, self._parts.get(sha256, ())
        file = BackupFile(path=item.path, size=size, mode=0, sha256=sha256, parts=parts)
        there = sum(self._target.objects.get(name, 0) for name in file.objects)
        return file if there == size and (parts or size <= self._part) else None

    def _is_key(self, path: Path) -> bool:
        """Whether a file is the signing key, or a copy of it."""
        if not self._key.is_file() or path.stat().st_size != self._key.stat().st_size:
            return False
        return path.read_bytes() == self._key.read_bytes()

    def _read(self, item: Item) -> BackupFile:
        """Read a file part by part, and store the parts."""
        whole, parts, size = hashlib.sha256(), list[str](), 0
        with item.read() as stream:
            while content := stream.read(self._part):
                whole.update(content)
                size += len(content)
                parts.append(self._target.put(content))
        named = tuple(parts) if len(parts) > 1 else ()
        found = BackupFile(path=item.path, size=size, mode=0, sha256=whole.hexdigest(), parts=named)
        if named:
            self._parts[found.sha256] = named
        return found
