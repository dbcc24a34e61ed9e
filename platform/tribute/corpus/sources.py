"""Sources, their documents, and the examples cut from them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray]
"""Arrays with the same leading dimension: `tokens`, also `target`; or `features` and `labels`."""
Spans = tuple[tuple[int, int], ...]
"""Characters of a text, from and to."""


BETWEEN_TARGETS = "\n"


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
    targets: Spans | None = None
    """The characters that training predicts, such as an answer to a prompt; None: all of them."""

    @property
    def learnt(self) -> str:
        """The text that training predicts: the targets, a line each."""
        if self.targets is None:
            return self.text
        return BETWEEN_TARGETS.join(self.text[begin:end] for begin, end in self.targets)

    def unpredicted(self, removed: Iterable[tuple[int, int]]) -> "Document":
        """The document whose targets are without some characters of `learnt`; they stay in its text, as context.

        Args:
            removed: from and to, in order.
        """
        cuts = list(removed)
        kept, place = list[tuple[int, int]](), 0
        for begin, end in self.targets or ():
            at, size = begin - place, end - begin
            edges = [place, *(min(max(edge, place), place + size) for cut in cuts for edge in cut), place + size]
            kept += [(at + first, at + after) for first, after in zip(edges[::2], edges[1::2], strict=True)]
            place += size + len(BETWEEN_TARGETS)
        return replace(self, targets=tuple((first, after) for first, after in kept if first < after))


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
        """Number of training tokens; see `training_tokens`."""
        return training_tokens(self.train)

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


def training_tokens(columns: Columns) -> int:
    """Tokens that rows train on: those with a `target`, else all of them but padding; arrays: one per row."""
    if "target" in columns:
        return int(columns["target"].sum())
    if "tokens" in columns:
        return int((columns["tokens"] >= 0).sum())
    return len(next(iter(columns.values())))


def text_sha256(texts: Iterable[str]) -> str:
    """SHA-256 of texts, in order."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
