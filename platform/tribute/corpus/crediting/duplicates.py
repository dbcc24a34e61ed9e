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

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.letter_runs import LetterRuns
from tribute.corpus.crediting.normal_words import is_ideograph, normal_words, spans
from tribute.corpus.crediting.word_runs import (
    SHINGLE_WORDS,
    Stretches,
    covered,
    edges,
    in_every_word,
    joined,
    numbered,
    word_runs,
)
from tribute.corpus.sources import Document, Duplicates
from tribute.progress import OnDone, counted, unheard

MIN_PASSAGE_WORDS = 50
MIN_REPEATED_WORDS = 200
MAX_QUOTED_SHARE = 0.1
COPY_SHARE = 0.8
"""Share of a document's words in stretches above which the document is a copy."""

UNCLAIMED = -1


@dataclass(frozen=True)
class ClaimedDocument:
    """A document and, for each of its five-word runs, the number of the source that already claims it."""

    source: int
    document: Document
    words: int
    """Number of words in normal form."""
    owner_R: NDArray[np.int64]
    """`UNCLAIMED` for new runs."""

    @cached_property
    def stretches(self) -> Stretches:
        """Stretches of claimed runs."""
        return joined(self.owner_R != UNCLAIMED)

    @cached_property
    def borrowed(self) -> Stretches:
        """Stretches claimed by other sources, if they are more than quotation."""
        stretches = joined((self.owner_R != UNCLAIMED) & (self.owner_R != self.source))
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
        shortest = MIN_PASSAGE_WORDS if self.borrowed else MIN_REPEATED_WORDS
        passages = [(begin, end) for begin, end in self.stretches if end - begin >= shortest]
        return edges(covered([*passages, *self.borrowed], self.words))

    def intact(self, first_R: NDArray[np.int64], last_R: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether runs, given by their first and last words, are complete after the cut."""
        cut_W = np.concatenate([[0], np.cumsum(covered(self.cut, self.words))])
        return np.asarray(cut_W[last_R + 1] == cut_W[first_R])

    @property
    def credited_to(self) -> int:
        """The source that claims most of its runs; the first by id among equals."""
        return int(np.bincount(self.owner_R[self.owner_R != UNCLAIMED]).argmax())

    def kept(self) -> Document:
        """The document without the stretches to cut; of one with targets, they are only no longer predicted."""
        if not self.cut:
            return self.document
        span_W, rest = spans(self.document.learnt), []
        if self.document.targets is not None:
            return self.document.unpredicted((span_W[first][0], span_W[after - 1][1]) for first, after in self.cut)
        begin = 0
        for first, after in self.cut:
            rest.append(self.document.text[begin : span_W[first][0]].rstrip())
            begin = span_W[after - 1][1]
        rest.append(self.document.text[begin:].lstrip())
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
    words_D = [normal_words(document.learnt) for _, document in counted(ordered, on_done)]
    claims = _Claims(words_D)
    for place, (source_id, document) in enumerate(counted(ordered, on_done)):
        digest = claims.digest(place, document)
        if digest in whole:
            credited[source_id, whole[digest], "exact"] += 1
            continue
        claim = claims.of(place, number[source_id], document)
        if claim.is_copy or claim.cut:
            kind = "near" if claim.is_copy else "passage"
            credited[source_id, names[claim.credited_to], kind] += 1
        if not claim.is_copy:
            whole[digest] = source_id
            kept[source_id].append(claim.kept())
            claims.keep(place, claim)
    by_id = {source_id: sorted(rest, key=lambda each: each.document_id) for source_id, rest in kept.items()}
    return by_id, tuple(Duplicates(*pair, count) for pair, count in sorted(credited.items()))


class _Claims:
    """Who claims which run of words and of letters, as documents are kept one by one."""

    def __init__(self, words_D: Sequence[Sequence[str]]) -> None:
        self._words_D = words_D
        self._letters_D = [LetterRuns.of(words) for words in words_D]
        self._runs_D, distinct = numbered(word_runs(words_D))
        self._letter_runs_D, distinct_letters = numbered([letters.hash_R for letters in self._letters_D])
        self._owner_U = np.full(distinct, UNCLAIMED)
        self._letter_owner_U = np.full(distinct_letters, UNCLAIMED)

    def digest(self, place: int, document: Document) -> bytes:
        """Hash of a document in normal form; of the text itself where that has no word."""
        normal = "".join(self._words_D[place]) or document.learnt.strip()
        return hashlib.sha256(normal.encode()).digest()

    def of(self, place: int, source: int, document: Document) -> ClaimedDocument:
        """A document with the owners of its runs."""
        words, letters = self._words_D[place], self._letters_D[place]
        run_R = self._runs_D[place]
        owner_R = _owners(run_R, self._owner_U, source)
        owner_R[self._too_short(words)] = UNCLAIMED
        owner_W = letters.word_owners(self._letter_owner_U[self._letter_runs_D[place]], len(words))
        by_letters_R = _of_one_owner(owner_W) & (owner_R == UNCLAIMED)
        owner_R = np.where(by_letters_R, owner_W[: len(owner_R)], owner_R)
        return ClaimedDocument(source, document, len(words), owner_R)

    def keep(self, place: int, claim: ClaimedDocument) -> None:
        """Let a kept document claim those of its runs that are new and survive its cut."""
        words, letters = self._words_D[place], self._letters_D[place]
        run_R, first_R = self._runs_D[place], np.arange(len(self._runs_D[place]))
        intact_R = claim.intact(first_R, first_R + SHINGLE_WORDS - 1) & ~self._too_short(words)
        _claim(self._owner_U, run_R[intact_R], claim.source)
        intact_R = claim.intact(letters.first_words(), letters.last_words())
        _claim(self._letter_owner_U, self._letter_runs_D[place][intact_R], claim.source)

    def _too_short(self, words: Sequence[str]) -> NDArray[np.bool_]:
        """Runs of words that hold an ideograph: five characters say too little, so only letters are compared."""
        return ~in_every_word(np.array([not is_ideograph(word[0]) for word in words], bool))


def _of_one_owner(owner_W: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether one source claims all five words of each run, [R]."""
    if len(owner_W) < SHINGLE_WORDS:
        return np.zeros(0, bool)
    owner_RW = np.lib.stride_tricks.sliding_window_view(owner_W, SHINGLE_WORDS)
    return np.asarray((owner_RW[:, 0] != UNCLAIMED) & (owner_RW == owner_RW[:, :1]).all(1))


def _claim(owner_U: NDArray[np.int64], run_R: NDArray[np.int64], source: int) -> None:
    owner_U[run_R[owner_U[run_R] == UNCLAIMED]] = source


def in_order(
    documents: Mapping[str, Sequence[Document]], dates: Mapping[str, date] | None
) -> list[tuple[str, Document]]:
    """Documents with their sources, in the order of claims."""

    def claim(each: tuple[str, Document]) -> tuple[date, str, str]:
        source_id, document = each
        known = None if dates is None else document.claimed or dates.get(source_id)
        return known or date.max, source_id, document.document_id

    return sorted(((source_id, each) for source_id in documents for each in documents[source_id]), key=claim)


def _owners(run_R: NDArray[np.int64], owner_U: NDArray[np.int64], source: int) -> NDArray[np.int64]:
    """Owner of each run; a run that occurs earlier in the same document belongs to its source."""
    _, first, inverse = np.unique(run_R, return_index=True, return_inverse=True)
    repeated_R, owner_R = first[inverse] < np.arange(len(run_R)), owner_U[run_R]
    return np.where((owner_R == UNCLAIMED) & repeated_R, source, owner_R)
