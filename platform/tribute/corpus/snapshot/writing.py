"""Writing a snapshot: the examples of all sources packed into shards of a bounded size, then the manifest."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tribute.corpus.columns import (
    STREAMED,
    STREAMS,
    ColumnFormat,
    Formats,
    Rows,
    aligned,
    regions,
    stream_begins,
)
from tribute.corpus.snapshot.manifest import PARTS, Manifest, ShardFile, SnapshotSource, write_manifest
from tribute.corpus.sources import Columns, Corpus, SourceExamples
from tribute.files.digests import content_sha256
from tribute_storage.atomic import write_atomically

SHARD_BYTES = 2**27
"""Bytes of a shard, at most: few files, and one of them fits into memory while it is written."""


class SourceRows(NamedTuple):
    """Rows of a source: all of them, or as many as a shard holds."""

    columns: Columns
    rows: int


def write_snapshot(corpus: Corpus, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """Write all examples, then the manifest; an interrupted write leaves no manifest.

    Args:
        shard_bytes: of a file of examples, at most.
    """
    ordered = sorted(corpus.sources, key=lambda each: each.source.source_id)
    formats = _formats(ordered)
    largest = max(1, shard_bytes // max(1, sum(form.row_bytes for form in formats.values())))
    shards, files = [], dict[str, str]()
    for part in PARTS:
        examples = (_part(each, part) for each in ordered)
        for number, pieces in enumerate(packed_pieces(examples, largest)):
            name = f"{part}-{number:05d}.shard"
            files[name], streams = write_shard(folder / name, formats, pieces)
            shards.append(ShardFile(name, part, sum(piece.rows for piece in pieces), streams))
    sources = tuple(
        SnapshotSource(
            each.source.source_id, each.tokens, each.sha256, {part: rows_of(_part(each, part)) for part in PARTS}
        )
        for each in ordered
    )
    write_manifest(Manifest(corpus.sha256, sources, dict(corpus.inputs), files, formats, tuple(shards)), folder)


def rows_of(columns: Columns) -> int:
    """Number of rows."""
    return len(next(iter(columns.values()), ()))


def packed_pieces(examples: Iterable[Columns], largest: int) -> Iterator[list[SourceRows]]:
    """What each shard holds: whole sources as long as they fit, a source that fits into none in parts.

    Args:
        largest: rows of a shard.
    """
    pieces, room = list[SourceRows](), largest
    for columns in examples:
        rows = rows_of(columns)
        if pieces and rows > room:
            yield pieces
            pieces, room = [], largest
        for begin in range(0, rows, largest):
            part = {name: values[begin : begin + largest] for name, values in columns.items()}
            if not room:
                yield pieces
                pieces, room = [], largest
            pieces.append(SourceRows(part, rows_of(part)))
            room -= pieces[-1].rows
    if pieces:
        yield pieces


def write_shard(path: Path, formats: Formats, pieces: Sequence[SourceRows]) -> tuple[str, int]:
    """Write a file of examples; returns its SHA-256, and in how many streams its tokens are."""
    joined = {name: np.concatenate([piece.columns[name] for piece in pieces]) for name in formats}
    rows, begin_R = sum(piece.rows for piece in pieces), np.zeros(0, np.int64)
    if STREAMED in formats and formats[STREAMED].streamed:
        first: Rows = np.array([0, *itertools.accumulate(piece.rows for piece in pieces[:-1])], np.int64)
        begin_R = stream_begins(joined[STREAMED], first)
    flat = {STREAMS: begin_R} | {name: form.packed(joined[name], begin_R) for name, form in formats.items()}
    content = list[bytes | memoryview]()
    for name, _, _ in regions(formats, rows, len(begin_R)):
        size = flat[name].nbytes
        content += [flat[name].view(np.uint8).data, bytes(aligned(size) - size)]
    write_atomically(path, content)
    return content_sha256(content), len(begin_R)


def _part(examples: SourceExamples, part: str) -> Columns:
    return examples.train if part == "train" else examples.held_out


def _formats(sources: Sequence[SourceExamples]) -> dict[str, ColumnFormat]:
    names = sorted(sources[0].train)
    parts = [columns for each in sources for columns in (each.train, each.held_out) if columns]
    return {name: ColumnFormat.of(name, [columns[name] for columns in parts]) for name in names}
