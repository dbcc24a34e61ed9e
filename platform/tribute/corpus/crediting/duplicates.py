"""Every text is credited once: what stands already, whole or in passages, is taken out of later documents.

Texts are compared by runs of five words. A stretch is what runs that stand already cover, apart from gaps of up
to `GAP` words: a copy with a word changed here and there is still a copy, in whatever order, among whatever else.

A document that is nearly all stretches is dropped and claims nothing: what is new in it belongs to who has it
next. That holds for what its own source had too, or it would pay to say everything twice.

From another document, what its own source had is cut in stretches of `OWN_PASSAGE` words: a source may repeat
itself, as templates do. What others have is a quotation, and stays, unless a stretch of it has `PASSAGE` words
or all of it is the part `BORROWED` of the document. Then all of it is cut, and so is every stretch of `PASSAGE`
words, so that own text around what is borrowed does not hide it.

So no run of five words is taken from anybody unless it stands whole in a document that is kept. And a passage of
`GAP` + 1 or more words that occur only in it stands whole if any document that has it is not dropped. What is
lost: words changed inside a copy, and what only dropped documents had.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.word_runs import SHINGLE_WORDS, Stretches, covered, edges, joined, numbered_runs
from tribute.corpus.sources import Document, Duplicates

PASSAGE = 50
OWN_PASSAGE = 200
BORROWED = 0.1
SIMILARITY = 0.8
"""Part of a document's words in stretches from which on the document is a copy."""

WORD = re.compile(r"\S+")
NOBODY = -1


@dataclass(frozen=True)
class ClaimedDocument:
    """A document of a source, and whose each of its runs of five words is already, as numbers of sources."""

    source: int
    document: Document
    owner_R: NDArray[np.int64]
    """`NOBODY`: new."""

    @cached_property
    def words(self) -> int:
        """How many there are."""
        return len(self.document.text.split())

    @cached_property
    def stretches(self) -> Stretches:
        """What stands already."""
        return joined(self.owner_R != NOBODY)

    @cached_property
    def borrowed(self) -> Stretches:
        """What others have of it, if that is more than quotation."""
        found = joined((self.owner_R != NOBODY) & (self.owner_R != self.source))
        lengths = [end - begin for begin, end in found]
        quoted = max(lengths, default=0) < PASSAGE and sum(lengths) < BORROWED * self.words
        return [] if quoted else found

    @cached_property
    def is_copy(self) -> bool:
        """Whether nearly all of it stands already."""
        return (
            bool(self.stretches) and sum(end - begin for begin, end in self.stretches) >= SIMILARITY * self.words
        )

    @cached_property
    def cut(self) -> Stretches:
        """What is cut, if it is not dropped."""
        least = PASSAGE if self.borrowed else OWN_PASSAGE
        long_ones = [each for each in self.stretches if each[1] - each[0] >= least]
        return edges(covered([*long_ones, *self.borrowed], self.words))

    @property
    def stands_R(self) -> NDArray[np.bool_]:
        """Which runs are whole after the cut."""
        gone_W = np.concatenate([[0], np.cumsum(covered(self.cut, self.words))])
        return np.asarray(gone_W[SHINGLE_WORDS:] == gone_W[:-SHINGLE_WORDS])

    @property
    def credited_to(self) -> int:
        """The source that has most of it; the first by id of several."""
        return int(np.bincount(self.owner_R[self.owner_R != NOBODY]).argmax())

    def kept(self) -> Document:
        """The document without what is cut."""
        if not self.cut:
            return self.document
        spans, rest = [found.span() for found in WORD.finditer(self.document.text)], []
        begin = 0
        for first, after in self.cut:
            rest.append(self.document.text[begin : spans[first][0]].rstrip())
            begin = spans[after - 1][1]
        rest.append(self.document.text[begin:].lstrip())
        return Document(self.document.document_id, "\n".join(part for part in rest if part), self.document.claimed)


def credit_once(
    documents: Mapping[str, Sequence[Document]], dates: Mapping[str, date] | None = None
) -> tuple[dict[str, list[Document]], tuple[Duplicates, ...]]:
    """Documents per source, each without what stands already, and what is credited elsewhere for that.

    The first claimant is the one with the earliest date, its document's own or its source's; an unknown date is
    later than any. Ties go to the first source by id, within a source to the first document. Texts of fewer words
    than five are compared as wholes only.

    Args:
        dates: of sources whose documents have none of their own; None: dates do not count.
    """
    names = sorted(documents)
    number = {source_id: index for index, source_id in enumerate(names)}
    kept: dict[str, list[Document]] = {source_id: [] for source_id in documents}
    credited: Counter[tuple[str, str, str]] = Counter()
    whole: dict[bytes, str] = {}
    ordered = in_order(documents, dates)
    runs_D, different = numbered_runs([document.text for _, document in ordered])
    owner_U = np.full(different, NOBODY)
    for (source_id, document), run_R in zip(ordered, runs_D, strict=True):
        digest = hashlib.sha256(" ".join(document.text.split()).encode()).digest()
        if digest in whole:
            credited[source_id, whole[digest], "exact"] += 1
            continue
        claim = ClaimedDocument(number[source_id], document, _owners(run_R, owner_U, number[source_id]))
        if claim.is_copy or claim.cut:
            kind = "near" if claim.is_copy else "passage"
            credited[source_id, names[claim.credited_to], kind] += 1
        if not claim.is_copy:
            whole[digest] = source_id
            kept[source_id].append(claim.kept())
            new_R = claim.stands_R & (owner_U[run_R] == NOBODY)
            owner_U[run_R[new_R]] = claim.source
    by_id = {source_id: sorted(rest, key=lambda each: each.document_id) for source_id, rest in kept.items()}
    return by_id, tuple(Duplicates(*pair, count) for pair, count in sorted(credited.items()))


def in_order(
    documents: Mapping[str, Sequence[Document]], dates: Mapping[str, date] | None
) -> list[tuple[str, Document]]:
    """Documents with their sources, the first claim first."""

    def claim(each: tuple[str, Document]) -> tuple[date, str, str]:
        source_id, document = each
        known = None if dates is None else document.claimed or dates.get(source_id)
        return known or date.max, source_id, document.document_id

    return sorted(((source_id, each) for source_id in documents for each in documents[source_id]), key=claim)


def _owners(run_R: NDArray[np.int64], owner_U: NDArray[np.int64], source: int) -> NDArray[np.int64]:
    """Whose each run is already; what stood further up in the document is its own source's."""
    _, first, inverse = np.unique(run_R, return_index=True, return_inverse=True)
    repeated_R, owner_R = first[inverse] < np.arange(len(run_R)), owner_U[run_R]
    return np.where((owner_R == NOBODY) & repeated_R, source, owner_R)
