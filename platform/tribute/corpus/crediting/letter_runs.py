"""Runs of letters, whatever spaces stand between them: they find copies whose words were joined or split.

Legend: L letters (an ideograph counts as `IDEOGRAPH`), W words, R runs of letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.normal_words import is_ideograph

RUN_LETTERS = 25
"""About five words."""
IDEOGRAPH = 3
"""Letters that an ideograph counts as."""
KEPT = 4
"""One run in so many is compared, chosen by its content; all that begin with an ideograph are."""
UNCLAIMED = -1

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class LetterRuns:
    """The runs of a document that are compared.

    Attributes:
        hash_R: of their letters.
        begin_R: where they begin, among the letters.
        word_L: the word of each letter.
    """

    hash_R: NDArray[np.uint64]
    begin_R: NDArray[np.int64]
    word_L: NDArray[np.int64]

    @classmethod
    def of(cls, words: Sequence[str]) -> "LetterRuns":
        """The runs of a document's normal words."""
        code_L = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32).astype(np.uint64)
        word_L = np.repeat(np.arange(len(words)), [len(word) for word in words])
        wide = [index for index, word in enumerate(words) if is_ideograph(word[0])] if _any_wide(code_L) else []
        first_L = np.ones(len(code_L), bool)
        is_wide_L = np.isin(word_L, wide)
        if wide:
            counts = np.where(is_wide_L, IDEOGRAPH, 1)
            starts = np.cumsum(counts) - counts
            code_L, word_L = np.repeat(code_L, counts), np.repeat(word_L, counts)
            is_wide_L = np.repeat(is_wide_L, counts)
            first_L = np.zeros(len(code_L), bool)
            first_L[starts] = True
        count = max(len(code_L) - RUN_LETTERS + 1, 0)
        hash_R = np.zeros(count, np.uint64)
        for offset in range(RUN_LETTERS):
            hash_R = (hash_R ^ code_L[offset : offset + count]) * MULTIPLIER
            hash_R ^= hash_R >> np.uint64(29)
        chosen_R = first_L[:count] & (is_wide_L[:count] | (hash_R % np.uint64(KEPT) == 0))
        return cls(hash_R[chosen_R], np.flatnonzero(chosen_R), word_L)

    def first_words(self) -> NDArray[np.int64]:
        """The word in which each run begins, [R]."""
        return self.word_L[self.begin_R]

    def last_words(self) -> NDArray[np.int64]:
        """The word in which each run ends, [R]."""
        return self.word_L[self.begin_R + RUN_LETTERS - 1]

    def word_owners(self, owner_R: NDArray[np.int64], words: int) -> NDArray[np.int64]:
        """The owner of each word all of whose letters lie in claimed runs, [W]; else `UNCLAIMED`."""
        if not words:
            return np.zeros(0, np.int64)
        owner_L = np.full(len(self.word_L), UNCLAIMED)
        claimed_R = owner_R != UNCLAIMED
        for offset in range(RUN_LETTERS):
            owner_L[self.begin_R[claimed_R] + offset] = owner_R[claimed_R]
        first_W = np.searchsorted(self.word_L, np.arange(words))
        return np.asarray(np.minimum.reduceat(owner_L, first_W))


def _any_wide(code_L: NDArray[np.uint64]) -> bool:
    return bool(len(code_L) and code_L.max() >= 0x3040)
