"""Restores a backup into a new folder: whole and checked, or not at all."""

import hashlib
import os
import shutil
import sqlite3
import uuid
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tribute.config import Project, load_project
from tribute.errors import ConfigError, DamagedFile, MachineError, itemised
from tribute.progress import OnDone
from tribute.tracking.places import database, move_places, moved_places
from tribute_jobs.backup.manifest import BackupFile, BackupManifest
from tribute_jobs.backup.project_file import with_settings
from tribute_jobs.backup.target import Target
from tribute_storage import Lake, require_sound


class Restored(NamedTuple):
    """A restored backup: its id, its manifest, and the project's project.yaml."""

    backup_id: str
    manifest: BackupManifest
    project_file: Path


def restore(target: Target, folder: Path, advanced: OnDone, chosen: str | None = None) -> Restored:
    """Put a project together in a folder. It gets its name when everything is there and has its recorded SHA-256.

    Args:
        folder: a new one, or an empty one.
        advanced: called with the number of files that are written, and of all.
        chosen: id of the backup, or its beginning; None: the newest.

    Raises:
        ConfigError: there is no such backup, or the folder holds something.
        DamagedFile: objects are missing or not what was written; names all files that need them.
        MachineError: the target cannot be read, or the folder cannot be written.
    """
    backup_id, manifest = target.manifest(chosen)
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already. Restore into a new folder, or an empty one")
    building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
        if manifest.size > free:
            raise MachineError(
                f"{folder.parent} has {free:,} bytes free, and the backup has {manifest.size:,}. Free some, or "
                "restore to another disk"
            )
        _write_all(target, manifest, building, advanced)
        (building / manifest.workdir).mkdir(parents=True, exist_ok=True)
        if manifest.settings:
            edited = building / manifest.project_file
            edited.write_bytes(with_settings(edited.read_bytes(), manifest.settings))
        # Its files were checked one by one; this marks its tables.
        require_sound(Lake(building / manifest.lake), lambda _: None)
        building.replace(folder)
    except OSError as error:
        raise MachineError(
            f"{folder} cannot be written: {error.strerror or error}. Nothing was restored. Mend that, and run the "
            "same command again"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _move_tracking(load_project(folder / manifest.project_file))
    return Restored(backup_id, manifest, folder / manifest.project_file)


def _move_tracking(project: Project) -> None:
    """Let MLflow's own records lead to the restored folder."""
    path = database(project)
    if path is not None:
        with suppress(sqlite3.OperationalError):  # MLflow was still making its tables
            move_places(path, moved_places(project, path))


def _write_all(target: Target, manifest: BackupManifest, building: Path, advanced: OnDone) -> None:
    """Write every file, and name all that cannot be."""
    problems = []
    for number, file in enumerate(manifest.files, 1):
        try:
            _write(target, building, file)
        except DamagedFile as problem:
            problems.append(f"{file.path}: {problem}")
        advanced(number, len(manifest.files))
    if problems:
        headline = (
            f"The backup has damaged files ({len(problems)}), and nothing was restored. Restore another one "
            f"(tribute backup --list {target.uri}). Or, where the project is whole, delete the damaged objects "
            f"and make a new one (tribute backup PROJECT.yaml {target.uri}), which stores them again:"
        )
        raise DamagedFile(itemised(headline, problems, len(problems)))


def _write(target: Target, building: Path, file: BackupFile) -> None:
    """Write a file part by part, each checked, and then check the whole."""
    path = building / file.path
    if not path.resolve().is_relative_to(building.resolve()):
        raise DamagedFile("its path leads out of the folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = hashlib.sha256()
    with path.open("wb") as stream:
        for name in file.objects:
            content = target.get(name)
            whole.update(content)
            stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if whole.hexdigest() != file.sha256:
        raise DamagedFile("its parts do not make up the file")
    path.chmod(file.mode)
