"""The index of a whole corpus: its tokens and its normal words, made once and found by what it was made from."""

import json
import shutil
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.columns import blocks
from tribute.corpus.snapshot import Manifest, Part, open_part, read_manifest
from tribute.corpus.verbatim.index import RunIndex
from tribute.corpus.verbatim.stored import SPAN, WORD_DTYPE, Tokens, stored_values, word_values
from tribute.corpus.verbatim.writing import FILES, IndexRecord, write_index
from tribute.errors import CorpusError
from tribute.files.digests import RememberedDigests, file_sha256
from tribute.files.sealed import intact, write_sealed
from tribute.progress import OnDone, counted, unheard

RELEASE = "2"
"""Of the files' format: an index of another one is made anew."""
INDEXES = "verbatim"
"""The folder of a working folder that has an index for each corpus. It may be deleted: they are made again."""
MANIFEST = "manifest.json"
TOKENS, WORDS, SPANS = "tokens", "words", "spans.bin"
ROWS = 4096
"""Rows read at once."""
LEAST_WORDS = 6
"""Words of the shortest exact part of a run with an edit."""
WORD_BYTES = 6
"""About how many bytes a word has; it only decides how the sorting is divided."""


class CorpusIndex:
    """An opened index.

    Attributes:
        tokens: of the values of tokens, see `stored.values_of`.
        words: of the hashes of normal words, document by document as in `tokens`.
        source_ids: by the number of a source in both.
        span_V: where each value of `words` stands in the characters of its document.
    """

    def __init__(self, folder: Path, described: dict[str, Any]) -> None:
        self.tokens, self.words = (RunIndex(folder / name, _record(described[name])) for name in (TOKENS, WORDS))
        self.source_ids: tuple[str, ...] = tuple(described["source_ids"])
        self.span_V: NDArray[np.void] = np.memmap(folder / SPANS, SPAN, "r")


def is_indexed(snapshot: Path, folder: Path, tokens: Tokens) -> bool:
    """Whether there is an index of this snapshot; its large files are not read."""
    return _described(folder, _key(read_manifest(snapshot), tokens)) is not None


def open_index(
    snapshot: Path, folder: Path, tokens: Tokens, on_done: OnDone = unheard, *, make: bool = True
) -> CorpusIndex:
    """Open the index of a snapshot; made first where it is not there, and made again where it is damaged.

    Only what was trained on is in it, so held-out text never counts. Of a corpus of bytes it takes about seven
    times the size of the text on disk. It is made with little memory, and is there as a whole or not at all.

    Args:
        folder: where it is, or is to be.
        on_done: told how many sources are done, once for their tokens and once for their words.
        make: whether to make it.

    Raises:
        CorpusError: the examples of the snapshot are no tokens, or it is not there and not to be made.
        DamagedFile: the snapshot is damaged.
    """
    manifest = read_manifest(snapshot)
    described = _described(folder, _key(manifest, tokens))
    if described is not None and _whole(folder, described):
        return CorpusIndex(folder, described)
    if not make:
        raise CorpusError("The corpus has no index of its runs yet. Make it: tribute verbatim PROJECT.yaml")
    return CorpusIndex(folder, _make(snapshot, folder, manifest, tokens, on_done))


def _make(snapshot: Path, folder: Path, manifest: Manifest, tokens: Tokens, on_done: OnDone) -> dict[str, Any]:
    part = _text(snapshot)
    building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        for name in (TOKENS, WORDS):
            (building / name).mkdir(parents=True)
        described = _write(building, part, manifest, tokens, on_done)
        write_sealed(building / MANIFEST, json.dumps(described).encode())
        _put(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return described


def _write(folder: Path, part: Part, manifest: Manifest, tokens: Tokens, on_done: OnDone) -> dict[str, Any]:
    size, column = sum(source.tokens for source in manifest.sources), part.columns["tokens"]
    sources, dtype = range(len(part.source_ids)), "<u2" if column.dtype.itemsize <= 2 else "<u4"  # one more each
    streams = (
        stored_values(blocks(column, ROWS, *part.first_S[source : source + 2]), tokens.separator)
        for source in counted(sources, on_done)
    )
    record = write_index(folder / TOKENS, streams, tokens.least, dtype, size)
    written = RunIndex(folder / TOKENS, record)
    with (folder / SPANS).open("wb") as spans:
        texts = (word_values(written, tokens, source, spans) for source in counted(sources, on_done))
        words = write_index(folder / WORDS, texts, LEAST_WORDS, WORD_DTYPE, size // WORD_BYTES)
        np.zeros(1, SPAN).tofile(spans)  # of the last break
    return {
        "key": _key(manifest, tokens),
        "source_ids": part.source_ids,
        TOKENS: asdict(record),
        WORDS: asdict(words),
        SPANS: file_sha256(folder / SPANS),
    }


def _put(building: Path, folder: Path) -> None:
    """Bring an index to its place, where a damaged one may be, or one of something else."""
    try:
        building.rename(folder)
    except OSError:  # the place is taken
        folder.rename(building / "before")
        building.rename(folder)
        shutil.rmtree(folder / "before")


def _key(manifest: Manifest, tokens: Tokens) -> list[object]:
    """What an index is made from."""
    return [RELEASE, manifest.sha256, tokens.separator, tokens.least, LEAST_WORDS]


def _described(folder: Path, key: list[object]) -> dict[str, Any] | None:
    """The record of the index in a folder, if it is one of this key."""
    if not intact(folder / MANIFEST):
        return None
    described: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    return described if described.get("key") == key else None


def _whole(folder: Path, described: dict[str, Any]) -> bool:
    """Whether all files are what was written. A large file that has not changed since is not read again."""
    digests = RememberedDigests(folder / "digests.json")
    expected = {
        folder / name / file: described[name]["sha256"][file] for name in (TOKENS, WORDS) for file in FILES
    }
    expected[folder / SPANS] = described[SPANS]
    whole = all(digests.sha256(path) == sha256 for path, sha256 in expected.items())
    digests.remember()
    return whole


def _record(described: dict[str, Any]) -> IndexRecord:
    return IndexRecord(**described | {"ends": tuple(described["ends"])})


def _text(snapshot: Path) -> Part:
    """The training examples, checked.

    Raises:
        CorpusError: they are no tokens.
    """
    part = open_part(snapshot, "train")
    if "tokens" not in part.columns:
        raise CorpusError(
            "The corpus holds arrays, and only text can be shared word for word. Ask about a text corpus"
        )
    return part
