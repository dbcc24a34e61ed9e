"""The manifest of a snapshot: its sources, its files and their SHA-256. It is written last."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tribute.corpus.columns import ColumnFormat
from tribute.errors import CorpusError
from tribute.files.sealed import Remedy, intact, require_sealed, write_sealed

MANIFEST = "manifest.json"
PARTS = ("train", "held_out")
READ = Remedy("tribute train PROJECT.yaml makes it again from the corpus")
"""The remedy for a snapshot that is missing or damaged."""


@dataclass(frozen=True)
class SnapshotSource:
    """A source of a snapshot: its training tokens, the SHA-256 of its examples, its rows by part.

    `file` is of earlier releases: the beginning of the name of its own Parquet files.
    """

    source_id: str
    tokens: int
    sha256: str
    rows: Mapping[str, int] = field(default_factory=dict)
    file: str = ""


@dataclass(frozen=True)
class ShardFile:
    """A file of examples of a part: whole sources, or some rows of a large one. Streams as in `columns`."""

    file: str
    part: str
    rows: int
    streams: int


@dataclass(frozen=True)
class Manifest:
    """Contents of a snapshot.

    Attributes:
        sha256: of the corpus.
        sources: in the order of their ids, as their rows lie in the shards.
        inputs: what it was read from, as in `content.corpus_content`.
        files: SHA-256 of every file of examples, by name.
        columns: how they are stored; none in a snapshot of an earlier release, which has Parquet files by source.
        shards: in the order of their rows, part by part.
    """

    sha256: str
    sources: tuple[SnapshotSource, ...]
    inputs: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, ColumnFormat] = field(default_factory=dict)
    shards: tuple[ShardFile, ...] = ()

    def names(self, *parts: str) -> list[str]:
        """The files of examples of some parts; by default of all."""
        parts = parts or PARTS
        if self.columns:
            return [each.file for each in self.shards if each.part in parts]
        return [f"{source.file}.{part}.parquet" for source in self.sources for part in parts]


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest: the snapshot is complete."""
    write_sealed(folder / MANIFEST, json.dumps(asdict(manifest)).encode())


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a complete snapshot.

    Raises:
        CorpusError: the manifest does not exist.
        DamagedFile: it is not what was written.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise CorpusError(f"{path} does not exist. Read the corpus first: tribute train PROJECT.yaml")
    require_sealed(path, READ)
    content = json.loads(path.read_text())
    columns = {name: form | {"shape": tuple(form["shape"])} for name, form in content.get("columns", {}).items()}
    return Manifest(
        content["sha256"],
        tuple(SnapshotSource(**source) for source in content["sources"]),
        content["inputs"],
        content.get("files", {}),
        {name: ColumnFormat(**form) for name, form in columns.items()},
        tuple(ShardFile(**shard) for shard in content.get("shards", ())),
    )


def has_snapshot(folder: Path) -> bool:
    """Whether a folder holds a complete snapshot: an intact manifest, and every file of examples."""
    return intact(folder / MANIFEST) and all(path.is_file() for path in snapshot_files(folder))


def snapshot_files(folder: Path, *parts: str) -> dict[Path, str | None]:
    """The files of examples of some parts, or of all, with their SHA-256; None where an earlier release has none.

    Raises:
        DamagedFile: the manifest is damaged.
        CorpusError: the manifest does not exist.
    """
    manifest = read_manifest(folder)
    return {folder / name: manifest.files.get(name) for name in manifest.names(*parts)}
