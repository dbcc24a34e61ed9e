"""The manifest of a backup: what it holds, and how to put it together. It is written last."""

import hashlib
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tribute.errors import ConfigError, DamagedFile

Format = Literal[1]
"""Raised with every release whose backups an older one cannot restore."""


class BackupFile(BaseModel):
    """A file: its path in the restored folder, and the objects that its content is joined from.

    `size` in bytes, `mode` as permission bits; `sha256` of the content and of each part, hexadecimal. A file of
    one part names none: the part is the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    size: int
    mode: int
    sha256: str
    parts: tuple[str, ...] = ()

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the objects with its content, in order; none for an empty file."""
        return self.parts or ((self.sha256,) if self.size else ())


class ChangedSetting(BaseModel):
    """A setting of project.yaml that names a place outside the project's folder, and what it is once restored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    was: str
    now: str


class BackupManifest(BaseModel):
    """One backup.

    Attributes:
        tribute: version of tribute that made it.
        time: when, UTC.
        project_file: path of project.yaml. This and all other paths are relative to the restored folder.
        signing_key: where the key has to be put; it is never in a backup.
        tables: version of each table of the lake.
        settings: settings that name another place once restored.
        notes: what the restored project needs from elsewhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format
    tribute: str
    project: str
    time: datetime
    project_file: str
    workdir: str
    lake: str
    signing_key: str
    tables: dict[str, int]
    settings: tuple[ChangedSetting, ...]
    notes: tuple[str, ...]
    files: tuple[BackupFile, ...]

    def content(self) -> bytes:
        """The manifest as it is stored."""
        return self.model_dump_json(exclude_defaults=True, indent=1).encode()

    def backup_id(self) -> str:
        """The name of the backup: its time, which orders backups, and the beginning of its content's SHA-256."""
        moment = self.time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        return f"{moment}-{hashlib.sha256(self.content()).hexdigest()[:16]}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def read_manifest(place: str, backup_id: str, content: bytes) -> BackupManifest:
    """A stored manifest, checked against its name.

    Raises:
        DamagedFile: it is not what was written.
        ConfigError: a later version of tribute wrote it.
    """
    if hashlib.sha256(content).hexdigest()[:16] != backup_id.rpartition("-")[2]:
        raise DamagedFile(f"{place} is not what was written: its SHA-256 differs. Restore another backup")
    try:
        return BackupManifest.model_validate_json(content)
    except ValidationError:
        raise ConfigError(
            f"{place} was written by a later version of tribute: this one reads format 1. Restore with that one"
        ) from None
