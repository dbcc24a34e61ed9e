"""Every text is credited once: what was claimed before, whole or in passages, is taken out of later documents.

Texts are compared by runs of five words. A stretch is what runs that another source claimed before cover, apart
from gaps of up to `GAP` words: a copy with a word changed here and there is still a copy, in whatever order, among
whatever else. A document that is nearly all stretches is dropped; of others, stretches of at least `PASSAGE` words
are cut. A source may repeat itself, as templates do, but for stretches of at least `OWN_PASSAGE` words, and not
around passages of others.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.sources import Document, Duplicates

SHINGLE_WORDS = 5
GAP = 3
PASSAGE = 50
OWN_PASSAGE = 200
SIMILARITY = 0.8
"""Part of a document's words in stretches from which on the document is a copy."""

WORD = re.compile(r"\S+")
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
Stretches = list[tuple[int, int]]


@dataclass(frozen=True)
class Claimed:
    """A document, and which of its runs of five words were claimed before: by whom, and in which place."""

    source_id: str
    document: Document
    earlier_R: NDArray[np.bool_]
    claimants: tuple[str, ...]
    """Of the runs that were claimed before, in their order."""

    @cached_property
    def words(self) -> int:
        """How many there are."""
        return len(self.document.text.split())

    @cached_property
    def stretches(self) -> Stretches:
        """First word, and the one after the last, of what was claimed before."""
        others_R = self.earlier_R.copy()
        others_R[self.earlier_R] = [claimant != self.source_id for claimant in self.claimants]
        others = _joined(others_R)
        hides = any(end - begin >= PASSAGE for begin, end in others)
        least = SHINGLE_WORDS if hides else OWN_PASSAGE
        own = [(begin, end) for begin, end in _joined(self.earlier_R) if end - begin >= least]
        covered_W = np.zeros(self.words, bool)
        for begin, end in [*others, *own]:
            covered_W[begin:end] = True
        edges = np.flatnonzero(np.diff(np.concatenate([[0], covered_W, [0]])))
        return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

    @property
    def credited_to(self) -> str:
        """The source that claimed most of it first."""
        found = Counter(self.claimants)
        return min(found, key=lambda source_id: (-found[source_id], source_id))

    @property
    def is_copy(self) -> bool:
        """Whether nearly all of it was claimed before."""
        covered = sum(end - begin for begin, end in self.stretches)
        return bool(self.stretches) and covered >= SIMILARITY * self.words

    def without(self, passages: Stretches) -> Document:
        """The document without some stretches."""
        spans, rest = [found.span() for found in WORD.finditer(self.document.text)], []
        begin = 0
        for first, after in passages:
            rest.append(self.document.text[begin : spans[first][0]].rstrip())
            begin = spans[after - 1][1]
        rest.append(self.document.text[begin:].lstrip())
        return Document(self.document.document_id, "\n".join(part for part in rest if part), self.document.claimed)


def credit_once(
    documents: Mapping[str, Sequence[Document]], dates: Mapping[str, date] | None = None
) -> tuple[dict[str, list[Document]], tuple[Duplicates, ...]]:
    """Documents per source, each without what was claimed before it, and what is credited elsewhere for that.

    The first claimant is the one with the earliest date, its document's own or its source's; an unknown date is
    later than any. Ties go to the first source by id, within a source to the first document. Texts of fewer words
    than five are compared as wholes only.

    Args:
        dates: of sources whose documents have none of their own; None: dates do not count.
    """
    kept: dict[str, list[Document]] = {source_id: [] for source_id in documents}
    credited: Counter[tuple[str, str, str]] = Counter()
    whole: dict[bytes, str] = {}
    for claim in _claims(in_order(documents, dates)):
        digest = hashlib.sha256(" ".join(claim.document.text.split()).encode()).digest()
        passages = [each for each in claim.stretches if each[1] - each[0] >= PASSAGE]
        if digest in whole:
            credited[claim.source_id, whole[digest], "exact"] += 1
            continue
        whole[digest] = claim.source_id
        if claim.is_copy or passages:
            kind = "near" if claim.is_copy else "passage"
            credited[claim.source_id, claim.credited_to, kind] += 1
        if not claim.is_copy:
            kept[claim.source_id].append(claim.without(passages) if passages else claim.document)
    ordered = {source_id: sorted(rest, key=lambda each: each.document_id) for source_id, rest in kept.items()}
    return ordered, tuple(Duplicates(*pair, count) for pair, count in sorted(credited.items()))


def in_order(
    documents: Mapping[str, Sequence[Document]], dates: Mapping[str, date] | None
) -> list[tuple[str, Document]]:
    """Documents with their sources, the first claim first."""

    def claim(each: tuple[str, Document]) -> tuple[date, str, str]:
        source_id, document = each
        known = None if dates is None else document.claimed or dates.get(source_id)
        return known or date.max, source_id, document.document_id

    return sorted(((source_id, each) for source_id in documents for each in documents[source_id]), key=claim)


def _claims(ordered: Sequence[tuple[str, Document]]) -> Iterator[Claimed]:
    """What was claimed before of every document."""
    hashes: dict[str, int] = {}
    runs = [_runs(document.text.split(), hashes) for _, document in ordered]
    every_R = np.concatenate([np.zeros(0, np.uint64), *runs])
    _, place, inverse = np.unique(every_R, return_index=True, return_inverse=True)
    first_R, begin_D = place[inverse], np.cumsum([0, *map(len, runs)])
    for (source_id, document), begin, after in zip(ordered, begin_D[:-1], begin_D[1:], strict=True):
        earlier_R = first_R[begin:after] < np.arange(begin, after)
        found_D = np.searchsorted(begin_D, first_R[begin:after][earlier_R], "right") - 1
        yield Claimed(source_id, document, earlier_R, tuple(ordered[d][0] for d in found_D.tolist()))


def _runs(words: Sequence[str], hashes: dict[str, int]) -> NDArray[np.uint64]:
    """A hash of every five words in a row."""
    for word in words:
        if word not in hashes:
            hashes[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
    hash_W = np.array([hashes[word] for word in words], np.uint64)
    found_R = np.zeros(max(len(words) - SHINGLE_WORDS + 1, 0), np.uint64)
    for offset in range(SHINGLE_WORDS):
        found_R = (found_R ^ hash_W[offset : offset + len(found_R)]) * MULTIPLIER
    return found_R


def _joined(earlier_R: NDArray[np.bool_]) -> Stretches:
    """Stretches of words that these runs cover, over gaps."""
    found: Stretches = []
    for begin in np.flatnonzero(earlier_R).tolist():
        if found and begin <= found[-1][1] + GAP:
            found[-1] = found[-1][0], begin + SHINGLE_WORDS
        else:
            found.append((begin, begin + SHINGLE_WORDS))
    return found
