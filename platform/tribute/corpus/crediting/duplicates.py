"""Crediting of text: a passage that an earlier document contains is removed from later ones.

Texts are compared by runs of five words in normal form (see `normal_words`), and by runs of 25 letters whatever
spaces stand between them (see `letter_runs`). So neither case, accents, punctuation, characters without width nor
spacing hide a copy, and Chinese and Japanese are compared by characters. A run is claimed if a kept document
already contains it. A stretch is a sequence of words covered by claimed runs, with gaps of at most `GAP` words. So
a copy with a few changed words is still recognised, in any order and among other text.

1. A document that consists almost entirely of stretches (`COPY_SHARE`) is dropped and claims nothing. New words in
   it belong to the next document that contains them. Runs claimed by its own source count too, or publishing
   everything twice would pay.
2. In other documents, runs claimed by the same source are cut in stretches of at least `MIN_REPEATED_WORDS` words:
   a source may repeat itself, as templates do.
3. Runs claimed by other sources are quotations and stay, unless one stretch has `MIN_PASSAGE_WORDS` words, or all
   of them make up `MAX_QUOTED_SHARE` of the document. Then all of them are cut, and so is every stretch of
   `MIN_PASSAGE_WORDS` words, so that surrounding text of one's own cannot hide a copy.

Consequences: a run of five words is removed only if a kept document contains it completely. A passage of `GAP` + 1
or more words that occur nowhere else stays complete if any document that contains it is kept. Words changed within
a copy, and text that only dropped documents contain, are lost.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.claimed_runs import ClaimedRuns
from tribute.corpus.crediting.normal_words import word_spans
from tribute.corpus.crediting.word_arrays import NormalWords
from tribute.corpus.crediting.word_runs import GAP, SHINGLE_WORDS, Stretches, covered, edges, joined
from tribute.corpus.sources import Document, Duplicates
from tribute.progress import OnDone, counted, unheard

MIN_PASSAGE_WORDS = 50
MIN_REPEATED_WORDS = 200
MAX_QUOTED_SHARE = 0.1
COPY_SHARE = 0.8
"""Share of a document's words in stretches above which the document is a copy."""


@dataclass(frozen=True)
class ClaimedDocument:
    """A document, and those of its five-word runs that a source claims already.

    Attributes:
        source: the number of its own source.
        words: how many it has in normal form.
        run_R: the first word of each claimed run, in order.
        owner_R: the number of the source that claims it.
    """

    source: int
    document: Document
    words: int
    run_R: NDArray[np.int64]
    owner_R: NDArray[np.int64]

    @cached_property
    def stretches(self) -> Stretches:
        """Stretches of claimed runs; none where the runs are too few for anything to be cut."""
        most = len(self.run_R) * (SHINGLE_WORDS + GAP)
        if most < min(MIN_PASSAGE_WORDS, MAX_QUOTED_SHARE * self.words):
            return []
        return joined(self.run_R.tolist())

    @cached_property
    def borrowed(self) -> Stretches:
        """Stretches claimed by other sources, if they are more than quotation."""
        if not self.stretches:
            return []
        stretches = joined(self.run_R[self.owner_R != self.source].tolist())
        lengths = [end - begin for begin, end in stretches]
        quoted = max(lengths, default=0) < MIN_PASSAGE_WORDS and sum(lengths) < MAX_QUOTED_SHARE * self.words
        return [] if quoted else stretches

    @cached_property
    def is_copy(self) -> bool:
        """Whether almost all of the document is claimed."""
        return (
            bool(self.stretches) and sum(end - begin for begin, end in self.stretches) >= COPY_SHARE * self.words
        )

    @cached_property
    def cut(self) -> Stretches:
        """Stretches to cut if the document is kept."""
        if not self.stretches:
            return []
        shortest = MIN_PASSAGE_WORDS if self.borrowed else MIN_REPEATED_WORDS
        passages = [(begin, end) for begin, end in self.stretches if end - begin >= shortest]
        if not passages and not self.borrowed:
            return []
        return edges(covered([*passages, *self.borrowed], self.words))

    @property
    def credited_to(self) -> int:
        """The source that claims most of its runs; the first by id among equals."""
        return int(np.bincount(self.owner_R).argmax())

    def kept(self) -> Document:
        """The document without the stretches to cut; of one with targets, they are only no longer predicted."""
        if not self.cut:
            return self.document
        text, rest, begin = self.document.learnt, list[str](), 0
        begin_W, end_W = word_spans(text, NormalWords.of([text]))
        removed = [(int(begin_W[first]), int(end_W[after - 1])) for first, after in self.cut]
        if self.document.targets is not None:
            return self.document.unpredicted(removed)
        for first, after in removed:
            rest.append(text[begin:first].rstrip())
            begin = after
        rest.append(text[begin:].lstrip())
        return Document(self.document.document_id, "\n".join(part for part in rest if part), self.document.claimed)


def credit_once(
    documents: Mapping[str, Sequence[Document]],
    dates: Mapping[str, date] | None = None,
    on_done: OnDone = unheard,
) -> tuple[dict[str, list[Document]], tuple[Duplicates, ...]]:
    """Remove claimed text from all documents; returns the documents by source and the duplicates.

    Documents claim their text in the order of their dates: that of the document, else of the source. An unknown
    date is later than any. Ties go to the first source by id, and within a source to the first document. Texts of
    fewer than five words are compared only as a whole. Of a document with targets, these are compared.

    Args:
        dates: claim dates of sources, for documents without their own; None: dates are ignored.
        on_done: told how many of the documents were looked at, in each of two passes.
    """
    names = sorted(documents)
    number = {source_id: index for index, source_id in enumerate(names)}
    kept: dict[str, list[Document]] = {source_id: [] for source_id in documents}
    credited: Counter[tuple[str, str, str]] = Counter()
    whole: dict[bytes, str] = {}
    ordered = in_order(documents, dates)
    claims = ClaimedRuns.of(document.learnt for _, document in counted(ordered, on_done))
    for place, (source_id, document) in enumerate(counted(ordered, on_done)):
        digest = claims.digests[place]
        if digest in whole:
            credited[source_id, whole[digest], "exact"] += 1
            continue
        source = number[source_id]
        claim = ClaimedDocument(source, document, claims.words(place), *claims.owned(place, source))
        if claim.is_copy or claim.cut:
            kind = "near" if claim.is_copy else "passage"
            credited[source_id, names[claim.credited_to], kind] += 1
        if not claim.is_copy:
            whole[digest] = source_id
            kept[source_id].append(claim.kept())
            claims.claim(place, claim.source, claim.cut)
    by_id = {source_id: sorted(rest, key=lambda each: each.document_id) for source_id, rest in kept.items()}
    return by_id, tuple(Duplicates(*pair, count) for pair, count in sorted(credited.items()))


def in_order(
    documents: Mapping[str, Sequence[Document]], dates: Mapping[str, date] | None
) -> list[tuple[str, Document]]:
    """Documents with their sources, in the order of claims."""

    def claim(each: tuple[str, Document]) -> tuple[date, str, str]:
        source_id, document = each
        known = None if dates is None else document.claimed or dates.get(source_id)
        return known or date.max, source_id, document.document_id

    return sorted(((source_id, each) for source_id in documents for each in documents[source_id]), key=claim)
