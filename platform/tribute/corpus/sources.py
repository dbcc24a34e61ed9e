"""What a corpus is made of: sources, their documents, and the examples cut from them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray]
"""Fixed-shape arrays with one leading dimension: `tokens`, or `features` and `labels`."""


@dataclass(frozen=True)
class Source:
    """The unit of the corpus that is weighted, as its own metadata describe it."""

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
    """When it was first claimed, by the operator's records; None: not known."""


@dataclass(frozen=True)
class DocumentRecord:
    """What is kept of a document: enough to prove that it was there, and not the text."""

    document_id: str
    sha256: str
    bytes: int
    held_out: bool


@dataclass(frozen=True)
class Duplicates:
    """Documents of a source that are credited to an earlier claim: as `exact` or `near` copies, or a `passage`."""

    source_id: str
    credited_source_id: str
    kind: str
    documents: int


@dataclass(frozen=True)
class InputFile:
    """A file that was read, as it was then."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SourceExamples:
    """A source's examples, for training and held out, and the documents they were cut from."""

    source: Source
    train: Columns
    held_out: Columns
    documents: tuple[DocumentRecord, ...]

    @property
    def tokens(self) -> int:
        """Training tokens (text: windows times their length; arrays: one an example)."""
        return self.train["tokens"].size if "tokens" in self.train else len(self.train["labels"])

    @cached_property
    def sha256(self) -> str:
        """Hash of all examples."""
        digest = hashlib.sha256()
        for part in (self.train, self.held_out):
            for name in sorted(part):
                digest.update(f"{name}{part[name].shape}{part[name].dtype}".encode())
                digest.update(np.ascontiguousarray(part[name]).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Corpus:
    """All sources, in the order of their ids, and every file that was read for them."""

    sources: tuple[SourceExamples, ...]
    inputs: tuple[InputFile, ...]
    duplicates: tuple[Duplicates, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of all sources' ids and examples."""
        lines = (f"{each.source.source_id}\0{each.sha256}\n" for each in self.sources)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def input_file(path: str, content: bytes) -> InputFile:
    """The record of a file's content."""
    return InputFile(path, len(content), hashlib.sha256(content).hexdigest())


def text_sha256(texts: Iterable[str]) -> str:
    """Hash of texts, in order."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
