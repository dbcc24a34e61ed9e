"""Who claims which run of words and of letters, as documents are kept one by one.

A run that stands in one place only is claimed by nobody else, so only repeated ones are followed.

Legend: D documents, W words, R runs of a document that are repeated, N those of all documents.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.letter_runs import RUN_LETTERS, UNCLAIMED, word_owners
from tribute.corpus.crediting.text_runs import joined_runs
from tribute.corpus.crediting.word_runs import SHINGLE_WORDS, Stretches, covered
from tribute.corpus.equal_values import FirstPlaces, repeated

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Repeated:
    """The repeated runs of all documents, and their owners.

    Attributes:
        place_N: where each begins, in words or letters of all documents.
        number_N: equal runs share one, below N.
        first_D: the first run of each document, and N.
        owner_N: the owner of each number.
    """

    place_N: Ints
    number_N: Ints
    first_D: Ints
    owner_N: Ints

    @classmethod
    def of(cls, hash_N: NDArray[np.uint64], place_N: Ints, begin_D: Ints) -> "_Repeated":
        kept = np.flatnonzero(repeated(hash_N))
        place_N = place_N[kept]
        number_N = FirstPlaces(hash_N[kept]).first_N
        return cls(place_N, number_N, np.searchsorted(place_N, begin_D), np.full(len(kept), UNCLAIMED))

    def claim(self, number_R: Ints, source: int) -> None:
        self.owner_N[number_R[self.owner_N[number_R] == UNCLAIMED]] = source


class ClaimedRuns:
    """The claims on the runs of documents.

    Attributes:
        digests: of the documents, as in `TextRuns`.
    """

    def __init__(self, digests: list[bytes], first_D: Ints, letter_W: Ints, words: _Repeated, letters: _Repeated):
        self.digests, self._first_D, self._letter_W = digests, first_D, letter_W
        self._words, self._letters = words, letters
        document_N = np.repeat(np.arange(len(digests)), np.diff(words.first_D))
        pair_N = document_N * len(document_N) + words.number_N
        self._again_N = FirstPlaces(pair_N.astype(np.uint64)).came_before_N

    @classmethod
    def of(cls, texts: Iterable[str]) -> "ClaimedRuns":
        """The runs of documents, in the order of their claims; nothing is claimed yet."""
        runs = joined_runs(texts)
        words = _Repeated.of(runs.hash_R, runs.word_R, runs.first_D)
        letters = _Repeated.of(runs.letters.hash_R, runs.letters.begin_R, runs.letters.letter_W[runs.first_D])
        return cls(runs.digest_D, runs.first_D, runs.letters.letter_W, words, letters)

    def words(self, place: int) -> int:
        """Number of words of a document."""
        return int(self._first_D[place + 1] - self._first_D[place])

    def owners(self, place: int, source: int) -> Ints:
        """The owner of each run of five words of a document, [R]; that of its letters where it has none itself.

        A run that occurs earlier in the same document belongs to its source.
        """
        first, after = self._words.first_D[place : place + 2]
        owner_r = self._words.owner_N[self._words.number_N[first:after]]
        owner_r[(owner_r == UNCLAIMED) & self._again_N[first:after]] = source
        owner_R = np.full(max(self.words(place) - SHINGLE_WORDS + 1, 0), UNCLAIMED)
        owner_R[self._words.place_N[first:after] - self._first_D[place]] = owner_r
        by_letters_R = self._by_letters(place, len(owner_R))
        return owner_R if by_letters_R is None else np.where(owner_R == UNCLAIMED, by_letters_R, owner_R)

    def claim(self, place: int, source: int, cut: Stretches) -> None:
        """Let a kept document claim those of its runs that are new and survive its cut."""
        first, after = self._words.first_D[place : place + 2]
        number_R = self._words.number_N[first:after]
        begin, end = self._letters.first_D[place : place + 2]
        letter_number_R = self._letters.number_N[begin:end]
        if cut:
            word_W, base = self._first_D[place : place + 2], self._first_D[place]
            cut_W = np.concatenate([[0], np.cumsum(covered(cut, self.words(place)))])
            word_R = self._words.place_N[first:after] - base
            number_R = number_R[cut_W[word_R + SHINGLE_WORDS] == cut_W[word_R]]
            letter_W, letter_R = self._letter_W[word_W[0] : word_W[1]], self._letters.place_N[begin:end]
            first_R, last_R = (
                np.searchsorted(letter_W, letter_R + size, "right") - 1 for size in (0, RUN_LETTERS - 1)
            )
            letter_number_R = letter_number_R[cut_W[last_R + 1] == cut_W[first_R]]
        self._words.claim(number_R, source)
        self._letters.claim(letter_number_R, source)

    def _by_letters(self, place: int, runs: int) -> Ints | None:
        """Who claims the letters of all five words of each run, [R]; None: nobody claims any."""
        first, after = self._letters.first_D[place : place + 2]
        owner_r = self._letters.owner_N[self._letters.number_N[first:after]]
        claimed_r = owner_r != UNCLAIMED
        if not runs or not claimed_r.any():
            return None
        letter_W = self._letter_W[self._first_D[place] : self._first_D[place + 1] + 1]
        begin_r = self._letters.place_N[first:after][claimed_r] - letter_W[0]
        owner_W = word_owners(begin_r, owner_r[claimed_r], letter_W - letter_W[0])
        owner_RW = np.lib.stride_tricks.sliding_window_view(owner_W, SHINGLE_WORDS)
        return np.where((owner_RW == owner_RW[:, :1]).all(1), owner_RW[:, 0], UNCLAIMED)
