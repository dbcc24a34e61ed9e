"""Sources, their documents, and the examples cut from them.

A window of W bytes trains W - 1 predictions: each byte from the preceding ones. Windows overlap by one byte, so
that every byte but the first is predicted exactly once.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray]
"""Arrays with the same leading dimension: `tokens`, or `features` and `labels`."""

PADDING = -1
BETWEEN_DOCUMENTS = b"\0"


@dataclass(frozen=True)
class Source:
    """A source of the corpus, as described by its metadata; sources are the units that training weights."""

    source_id: str
    title: str
    publisher: str
    version: str = ""
    license: str = "NOASSERTION"


@dataclass(frozen=True)
class Document:
    """A text of a source."""

    document_id: str
    text: str
    claimed: date | None = None
    """Date of the first claim, from the operator's records; None if unknown."""


@dataclass(frozen=True)
class DocumentRecord:
    """Record of a document without its text, as proof that it was part of the corpus."""

    document_id: str
    sha256: str
    bytes: int
    held_out: bool


@dataclass(frozen=True)
class Duplicates:
    """Number of documents of a source credited to another one, as `exact` or `near` copies or as a `passage`."""

    source_id: str
    credited_source_id: str
    kind: str
    documents: int


@dataclass(frozen=True)
class SourceExamples:
    """Training and held-out examples of a source, and the documents they come from."""

    source: Source
    train: Columns
    held_out: Columns
    documents: tuple[DocumentRecord, ...]
    eligible: float | None = None
    """Part of the source's words that is new to it and makes sense; None: not text."""

    @property
    def eligible_tokens(self) -> int | None:
        """Training tokens that count as content; None: not text."""
        return None if self.eligible is None else round(self.tokens * self.eligible)

    @property
    def tokens(self) -> int:
        """Number of training tokens (text: windows times window length; arrays: one per example)."""
        return self.train["tokens"].size if "tokens" in self.train else len(self.train["labels"])

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of all examples."""
        digest = hashlib.sha256()
        for part in (self.train, self.held_out):
            for name in sorted(part):
                digest.update(f"{name}{part[name].shape}{part[name].dtype}".encode())
                digest.update(np.ascontiguousarray(part[name]).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Corpus:
    """All sources in the order of their ids, what they were read from, and the duplicates credited elsewhere."""

    sources: tuple[SourceExamples, ...]
    inputs: Mapping[str, str]
    """As in `content.corpus_content`."""

    duplicates: tuple[Duplicates, ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 of the ids and examples of all sources."""
        lines = (f"{each.source.source_id}\0{each.sha256}\n" for each in self.sources)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def text_sha256(texts: Iterable[str]) -> str:
    """SHA-256 of texts, in order."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def text_windows(texts: Sequence[str], window: int) -> NDArray[np.int16]:
    """Training windows of a source, [n, window]; joins documents by a NUL byte, omits an incomplete window."""
    stream = np.frombuffer(BETWEEN_DOCUMENTS.join(text.encode() for text in texts), np.uint8)
    count = max((len(stream) - 1) // (window - 1), 0)
    return stream[_positions(count, window)].astype(np.int16)


def encode_text(text: str, window: int) -> NDArray[np.int16]:
    """Windows of a query of any length, [rows, window]; the last row is padded with -1."""
    stream = np.frombuffer(text.encode(), np.uint8).astype(np.int16)
    count = max(-(-(len(stream) - 1) // (window - 1)), 1)
    padded = np.full(count * (window - 1) + 1, PADDING, dtype=np.int16)
    padded[: len(stream)] = stream
    return padded[_positions(count, window)]


def _positions(count: int, window: int) -> NDArray[np.int64]:
    return np.arange(count)[:, None] * (window - 1) + np.arange(window)
