"""The place of backups, a folder or an object store: objects named after their SHA-256, and manifests."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property

from tribute.errors import ConfigError, DamagedFile, MachineError
from tribute_jobs.backup.manifest import BackupManifest, read_manifest
from tribute_storage.location import Location

OBJECTS, MANIFESTS = "objects", "backups"
_OBJECT = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})")
_MANIFEST = re.compile(r"(\d{8}T\d{6}Z-[0-9a-f]{16})\.json")


class Target:
    """Backups under a folder or URI, such as `s3://bucket/backups`.

    An object is written once, whatever number of files and backups hold its content. A backup is there as soon as
    its manifest is, which is written when all of its objects are.

    Raises:
        ConfigError: no such kind of place.
    """

    def __init__(self, uri: str) -> None:
        self._location = Location.of(uri)
        self.uri = self._location.uri
        self.written = 0

    @cached_property
    def objects(self) -> dict[str, int]:
        """Bytes of every object that is there, by SHA-256."""
        with self._trouble("read"):
            found = [(_OBJECT.fullmatch(each.name), each.size) for each in self._location.files(OBJECTS)]
        return {name[1]: size for name, size in found if name}

    def put(self, content: bytes) -> str:
        """Store content unless it is there; its SHA-256. `written` counts the bytes."""
        sha256 = hashlib.sha256(content).hexdigest()
        if self.objects.get(sha256) != len(content):
            with self._trouble("written to"):
                self._location.write(_object(sha256), content)
            self.objects[sha256] = len(content)
            self.written += len(content)
        return sha256

    def get(self, sha256: str) -> bytes:
        """The content of an object.

        Raises:
            DamagedFile: it is missing, or has another SHA-256.
        """
        name = _object(sha256)
        with self._trouble("read"):
            try:
                content = self._location.read(name)
            except FileNotFoundError:
                raise DamagedFile(f"{self.uri}/{name} is missing") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DamagedFile(f"{self.uri}/{name} is not what was written")
        return content

    def add(self, manifest: BackupManifest) -> str:
        """Store a manifest; its backup's id."""
        backup_id = manifest.backup_id()
        with self._trouble("written to"):
            self._location.write(f"{MANIFESTS}/{backup_id}.json", manifest.content())
        return backup_id

    def ids(self) -> list[str]:
        """Ids of all backups, the newest last."""
        with self._trouble("read"):
            found = [_MANIFEST.fullmatch(each.name) for each in self._location.files(MANIFESTS)]
        return sorted(name[1] for name in found if name)

    def manifest(self, chosen: str | None = None) -> tuple[str, BackupManifest]:
        """A backup's id and manifest.

        Args:
            chosen: its id, or the beginning of one; None: the newest.

        Raises:
            ConfigError: there is none, or several begin like this.
            DamagedFile: the manifest is not what was written.
        """
        ids = self.ids()
        if not ids:
            raise ConfigError(f"{self.uri} holds no backup. Make one: tribute backup PROJECT.yaml {self.uri}")
        fitting = ids[-1:] if chosen is None else [each for each in ids if each.startswith(chosen)]
        if len(fitting) != 1:
            text = f"{len(fitting)} backups" if fitting else "no backup"
            raise ConfigError(f"{self.uri} holds {text} whose id begins with {chosen}. It holds: {', '.join(ids)}")
        name = f"{MANIFESTS}/{fitting[0]}.json"
        with self._trouble("read"):
            content = self._location.read(name)
        return fitting[0], read_manifest(f"{self.uri}/{name}", fitting[0], content)

    def lost(self, manifest: BackupManifest) -> bool:
        """Whether objects of a manifest are gone, as when another machine pruned meanwhile. Lists them anew."""
        self.__dict__.pop("objects", None)
        return any(name not in self.objects for file in manifest.files for name in file.objects)

    def prune(self, keep: int, older_than: timedelta = timedelta(days=1)) -> list[str]:
        """Delete all but the newest backups, and objects that none of those names; ids of the deleted ones.

        Args:
            keep: how many to keep, 1 or more.
            older_than: age of objects that are deleted; younger ones may belong to a backup that is being made.

        Raises:
            DamagedFile: a manifest that is kept is not what was written. Nothing was deleted.
        """
        ids = self.ids()
        kept = [self.manifest(each)[1] for each in ids[-keep:]]
        needed = {name for manifest in kept for file in manifest.files for name in file.objects}
        before = datetime.now(UTC) - older_than
        with self._trouble("pruned"):
            for each in ids[:-keep]:
                self._location.delete(f"{MANIFESTS}/{each}.json")
            for found in self._location.files(OBJECTS):
                name = _OBJECT.fullmatch(found.name)
                if found.modified <= before and (name is None or name[1] not in needed):
                    self._location.delete(f"{OBJECTS}/{found.name}")
        return ids[:-keep]

    @contextmanager
    def _trouble(self, done: str) -> Iterator[None]:
        """Say of an error of the store what was to be done where."""
        try:
            yield
        except OSError as error:
            raise MachineError(
                f"{self.uri} cannot be {done}: {error}. Mend that, and run the same command again"
            ) from error
        except ValueError as error:  # Arrow knows no such scheme
            raise ConfigError(f"{self.uri} is no place for backups: {error}. Name a folder or s3://...") from None


def _object(sha256: str) -> str:
    return f"{OBJECTS}/{sha256[:2]}/{sha256}"
