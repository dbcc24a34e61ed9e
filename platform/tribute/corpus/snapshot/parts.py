"""The examples of a snapshot, read from its files where they lie."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tribute.corpus.columns import Column, MappedColumn, MappedShard, Rows, file_bytes
from tribute.corpus.out_of_distribution import OutOfDistributionDetector
from tribute.corpus.snapshot.earlier import earlier_columns
from tribute.corpus.snapshot.manifest import READ, Manifest, read_manifest, snapshot_files
from tribute.corpus.sources import Columns
from tribute.errors import DamagedFile, MachineError
from tribute.files.sealed import ABSENT, require_recorded

OPEN_SHARDS = 256
"""Shards of a part that a process has mapped at once, at most."""


@dataclass(frozen=True)
class Part:
    """The training or the held-out examples of a snapshot.

    Attributes:
        source_ids: in their order.
        first_S: the first row of every source, and at the end the number of rows, [S + 1].
        columns: of all sources behind one another, [N, ...] each.
    """

    source_ids: tuple[str, ...]
    first_S: Rows
    columns: Mapping[str, Column]

    def of(self, source_id: str) -> Columns:
        """The examples of a source, in memory."""
        return self._between(self.source_ids.index(source_id))

    def by_source(self) -> Iterator[tuple[str, Columns]]:
        """Source ids with the examples of each, one source after the other."""
        return ((source_id, self._between(index)) for index, source_id in enumerate(self.source_ids))

    def _between(self, source: int) -> Columns:
        begin, end = self.first_S[source : source + 2]
        return {name: column[begin:end] for name, column in self.columns.items()}


def open_part(folder: Path, part: str) -> Part:
    """The examples of a snapshot, whose files are compared with their SHA-256; `part` is `train` or `held_out`.

    Raises:
        CorpusError: there is no snapshot.
        DamagedFile: a file is missing, or is not what was written.
    """
    for path, sha256 in snapshot_files(folder, part).items():
        require_recorded(path, *filter(None, [sha256]), remedy=READ)
    return map_part(folder, part)


def map_part(folder: Path, part: str) -> Part:
    """The examples of a snapshot whose files somebody has compared with their SHA-256; only their sizes are here.

    Raises:
        MachineError: this machine does not see the folder.
        CorpusError, DamagedFile: as `open_part`, where a file is missing or has another size.
    """
    if not folder.is_dir():
        raise MachineError(
            f"Machine {socket.gethostname()} has no folder {folder}, and a worker there reads the corpus in it. "
            "Mount the disk of `workdir` at the same place on every machine of the cluster"
        )
    manifest = read_manifest(folder)
    if not manifest.columns:
        counts, columns = earlier_columns(manifest, folder, part)
        return Part(tuple(counts), np.cumsum([0, *counts.values()]), columns)
    rows = [source.rows[part] for source in manifest.sources]
    source_ids = tuple(source.source_id for source in manifest.sources)
    return Part(source_ids, np.cumsum([0, *rows], dtype=np.int64), _mapped(manifest, folder, part))


def load_source(folder: Path, source_id: str, part: str) -> Columns:
    """The examples of a source, in memory; raises what `open_part` does."""
    return open_part(folder, part).of(source_id)


def load_sources(folder: Path, part: str = "train") -> Iterator[tuple[str, Columns]]:
    """Source ids with the examples of each, one source after the other; raises what `open_part` does."""
    return open_part(folder, part).by_source()


def ood_detector(folder: Path) -> OutOfDistributionDetector:
    """Detector of queries that are out of distribution for the corpus of a snapshot."""
    return OutOfDistributionDetector.of(open_part(folder, "train").columns, open_part(folder, "held_out").columns)


def _mapped(manifest: Manifest, folder: Path, part: str) -> dict[str, MappedColumn]:
    shards = [each for each in manifest.shards if each.part == part]
    for each in shards:
        _require_size(folder / each.file, file_bytes(manifest.columns, each.rows, each.streams))

    @lru_cache(OPEN_SHARDS)
    def opened(number: int) -> MappedShard:
        each = shards[number]
        content = np.asarray(np.memmap(folder / each.file, np.uint8, "r"))
        return MappedShard(content, manifest.columns, each.rows, each.streams)

    first_K = np.cumsum([0, *(each.rows for each in shards)], dtype=np.int64)
    return {name: MappedColumn(name, form, first_K, opened) for name, form in manifest.columns.items()}


def _require_size(path: Path, size: int) -> None:
    if not path.is_file():
        raise DamagedFile(f"{path} {ABSENT}. {READ.of(ABSENT)}")
    if path.stat().st_size != size:
        problem = f"is damaged: it has {path.stat().st_size:,} bytes, expected {size:,}"
        raise DamagedFile(f"{path} {problem}. {READ.of(problem)}")
