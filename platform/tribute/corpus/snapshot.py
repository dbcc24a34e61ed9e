"""Snapshot of the training corpus: one Parquet file per source and part, and a manifest, written last."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tribute.corpus.out_of_distribution import OutOfDistributionDetector
from tribute.corpus.sources import Columns, Corpus
from tribute.errors import CorpusError
from tribute.files.sealed import Remedy, intact, require_recorded, require_sealed, write_sealed
from tribute_storage.atomic import write_atomically

MANIFEST = "manifest.json"
PARTS = ("train", "held_out")
READ = Remedy("tribute train PROJECT.yaml makes it again from the corpus")
"""The remedy for a snapshot that is missing or damaged."""


@dataclass(frozen=True)
class SnapshotSource:
    """A source of a snapshot."""

    source_id: str
    file: str
    tokens: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Contents of a snapshot."""

    sha256: str
    sources: tuple[SnapshotSource, ...]
    inputs: Mapping[str, str]
    """What it was read from, as in `content.corpus_content`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every file of examples, by name."""


def write_snapshot(corpus: Corpus, folder: Path) -> None:
    """Write all examples, then the manifest; an interrupted write leaves no manifest."""
    sources, files = [], dict[str, str]()
    for number, examples in enumerate(corpus.sources):
        file = f"source-{number:05d}"
        for part, columns in (("train", examples.train), ("held_out", examples.held_out)):
            content = _to_parquet(columns)
            write_atomically(folder / f"{file}.{part}.parquet", content)
            files[f"{file}.{part}.parquet"] = hashlib.sha256(content).hexdigest()
        sources.append(SnapshotSource(examples.source.source_id, file, examples.tokens, examples.sha256))
    manifest = Manifest(corpus.sha256, tuple(sources), dict(corpus.inputs), files)
    write_sealed(folder / MANIFEST, json.dumps(asdict(manifest)).encode())


def has_snapshot(folder: Path) -> bool:
    """Whether a folder holds a complete snapshot: an intact manifest, and every file of examples."""
    return intact(folder / MANIFEST) and all(path.is_file() for path in _files(read_manifest(folder), folder))


def snapshot_files(folder: Path) -> dict[Path, str | None]:
    """The files of examples of a snapshot with their SHA-256; None where an earlier release recorded none.

    Raises:
        DamagedFile: the manifest is damaged.
        CorpusError: the manifest does not exist.
    """
    manifest = read_manifest(folder)
    return {path: manifest.files.get(path.name) for path in _files(manifest, folder)}


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
    return Manifest(
        content["sha256"],
        tuple(SnapshotSource(**source) for source in content["sources"]),
        content["inputs"],
        content.get("files", {}),
    )


def load_source(folder: Path, source_id: str, part: str) -> Columns:
    """Read the examples of a source; `part` is `train` or `held_out`.

    Raises:
        DamagedFile: their file is missing, or is not what was written.
    """
    manifest = read_manifest(folder)
    [file] = [each.file for each in manifest.sources if each.source_id == source_id]
    path = folder / f"{file}.{part}.parquet"
    require_recorded(path, *filter(None, [manifest.files.get(path.name)]), remedy=READ)
    table = pq.read_table(path, partitioning=None)
    return {name: _to_array(table[name].combine_chunks()) for name in table.column_names}


def load_sources(folder: Path) -> Iterator[tuple[str, Columns]]:
    """Source ids with the training examples of each, one source after the other."""
    for source in read_manifest(folder).sources:
        yield source.source_id, load_source(folder, source.source_id, "train")


def load_part(folder: Path, part: str) -> Columns:
    """Read and concatenate the examples of all sources; `part` is `train` or `held_out`."""
    pieces = [load_source(folder, each.source_id, part) for each in read_manifest(folder).sources]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def ood_detector(folder: Path) -> OutOfDistributionDetector:
    """Detector of queries that are out of distribution for the corpus of a snapshot."""
    return OutOfDistributionDetector.of(load_part(folder, "train"), load_part(folder, "held_out"))


def _files(manifest: Manifest, folder: Path) -> Iterator[Path]:
    for source in manifest.sources:
        for part in PARTS:
            yield folder / f"{source.file}.{part}.parquet"


def _to_parquet(columns: Columns) -> bytes:
    arrays = {name: _to_arrow(values) for name, values in columns.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _to_arrow(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def _to_array(column: pa.Array) -> np.ndarray:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy(zero_copy_only=False)
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), column.type.list_size)
