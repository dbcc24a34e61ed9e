"""Who claims which run of words and of letters, as documents are kept one by one.

A run that stands in one place only is claimed by nobody else, so only repeated ones are followed.

Legend: D documents, W words of a document, R runs of a document, N repeated runs of all documents.
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
    first_D: list[int]
    owner_N: Ints

    @classmethod
    def of(cls, hash_N: NDArray[np.uint64], place_N: Ints, begin_D: Ints) -> "_Repeated":
        kept = np.flatnonzero(repeated(hash_N))
        place_N = place_N[kept]
        number_N = FirstPlaces(hash_N[kept]).first_N
        first_D = np.searchsorted(place_N, begin_D).tolist()
        return cls(place_N, number_N, first_D, np.full(len(kept), UNCLAIMED))

    def within(self, document: int) -> slice:
        """The runs of a document."""
        return slice(self.first_D[document], self.first_D[document + 1])

    def claim(self, number_R: Ints, source: int) -> None:
        self.owner_N[number_R[self.owner_N[number_R] == UNCLAIMED]] = source


class ClaimedRuns:
    """The claims on the runs of documents.

    Attributes:
        digests: of the documents, as in `TextRuns`.
    """

    def __init__(self, digests: list[bytes], first_D: Ints, letter_W: Ints, words: _Repeated, letters: _Repeated):
        self.digests, self._first_D, self._letter_W = digests, first_D.tolist(), letter_W
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
        return self._first_D[place + 1] - self._first_D[place]

    def owned(self, place: int, source: int) -> tuple[Ints, Ints]:
        """The claimed runs of five words of a document, [R], in order: where they begin, and who owns them.

        A run that occurs earlier in the same document belongs to its source. One that nobody claims belongs to who
        claims the letters of all its words.
        """
        within = self._words.within(place)
        owner_r = self._words.owner_N[self._words.number_N[within]]
        owner_r[(owner_r == UNCLAIMED) & self._again_N[within]] = source
        claimed_r = owner_r != UNCLAIMED
        run_R = self._words.place_N[within][claimed_r] - self._first_D[place]
        return self._with_letters(place, run_R, owner_r[claimed_r])

    def claim(self, place: int, source: int, cut: Stretches) -> None:
        """Let a kept document claim those of its runs that are new and survive its cut."""
        within, within_letters = self._words.within(place), self._letters.within(place)
        number_R, letter_number_R = self._words.number_N[within], self._letters.number_N[within_letters]
        if cut:
            cut_W = np.concatenate([[0], np.cumsum(covered(cut, self.words(place)))])
            word_R = self._words.place_N[within] - self._first_D[place]
            number_R = number_R[cut_W[word_R + SHINGLE_WORDS] == cut_W[word_R]]
            letter_R, letter_W = self._letters.place_N[within_letters], self._letters_of(place)
            first_R = np.searchsorted(letter_W, letter_R, "right") - 1
            after_R = np.searchsorted(letter_W, letter_R + RUN_LETTERS)
            letter_number_R = letter_number_R[cut_W[after_R] == cut_W[first_R]]
        self._words.claim(number_R, source)
        self._letters.claim(letter_number_R, source)

    def _letters_of(self, place: int) -> Ints:
        """The first letter of each word of a document, and where the last one ends, among those of all."""
        return self._letter_W[self._first_D[place] : self._first_D[place + 1] + 1]

    def _with_letters(self, place: int, run_R: Ints, owner_R: Ints) -> tuple[Ints, Ints]:
        """Claimed runs, with those whose letters are claimed."""
        within = self._letters.within(place)
        owner_r = self._letters.owner_N[self._letters.number_N[within]]
        claimed_r = owner_r != UNCLAIMED
        if not claimed_r.any():
            return run_R, owner_R
        letter_W, begin_r = self._letters_of(place), self._letters.place_N[within][claimed_r]
        first, after = _added(run_R, begin_r, letter_W)
        if first == after:
            return run_R, owner_R
        letter_W = letter_W[first : after + 1]
        owner_W = word_owners(begin_r - letter_W[0], owner_r[claimed_r], letter_W - letter_W[0])
        owners = np.full(self.words(place), UNCLAIMED)
        by_letters = owners[first : after - SHINGLE_WORDS + 1]
        by_letters[:] = owner_W[: len(by_letters)]
        for offset in range(1, SHINGLE_WORDS):
            by_letters[owner_W[offset : offset + len(by_letters)] != by_letters] = UNCLAIMED
        owners[run_R] = owner_R
        run_R = np.flatnonzero(owners != UNCLAIMED)
        return run_R, owners[run_R]


def _added(run_R: Ints, begin_r: Ints, letter_W: Ints) -> tuple[int, int]:
    """Words, from and to, among which claimed runs of letters cover runs of words that are not known yet.

    Args:
        run_R: where known runs of words begin.
        begin_r: where claimed runs of letters begin.
        letter_W: the first letter of each word; one more entry, where the last one ends.
    """
    opens_r = np.ones(len(begin_r) + 1, bool)
    opens_r[1:-1] = begin_r[1:] - begin_r[:-1] > RUN_LETTERS  # stretches of letters without a gap
    first_s = letter_W.searchsorted(begin_r[opens_r[:-1]])  # words whole from the first letter on
    after_s = letter_W.searchsorted(begin_r[opens_r[1:]] + RUN_LETTERS, "right") - 1
    runs_s = after_s - first_s - SHINGLE_WORDS + 1
    known_s = run_R.searchsorted(first_s + runs_s) - run_R.searchsorted(first_s)
    new_s = np.flatnonzero(known_s < runs_s)
    return (int(first_s[new_s[0]]), int(after_s[new_s[-1]])) if len(new_s) else (0, 0)
