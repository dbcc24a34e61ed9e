"""Runs of letters, whatever spaces stand between them: they find copies whose words were joined or split.

Legend: L letters (an ideograph counts as `IDEOGRAPH`), W words, R runs of letters, D documents, K letters of a
block.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.word_arrays import NormalWords
from tribute.corpus.crediting.word_runs import within_documents

RUN_LETTERS = 25
"""About five words."""
IDEOGRAPH = 3
"""Letters that an ideograph counts as."""
KEPT = 4
"""One run in so many is compared, chosen by its content; all that begin with an ideograph are."""
UNCLAIMED = -1

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(29)
BLOCK = 32_768
"""Runs that are hashed at once: more would not stay in the cache, fewer cost more calls."""


@dataclass(frozen=True)
class LetterRuns:
    """The runs of documents that are compared.

    Attributes:
        hash_R: of their letters.
        begin_R: where they begin, among the letters.
        letter_W: the first letter of each word; one more entry, where the last one ends.
    """

    hash_R: NDArray[np.uint64]
    begin_R: NDArray[np.int64]
    letter_W: NDArray[np.int64]

    @classmethod
    def of(cls, words: NormalWords) -> "LetterRuns":
        """The runs of documents' normal words; none is of two documents."""
        code_L, letter_W, wide_W = words.code_L, words.letter_W, words.ideograph_W
        first_L = is_wide_L = None
        if wide_W is not None:
            wide_L = np.repeat(wide_W, np.diff(letter_W))
            count_L = np.where(wide_L, IDEOGRAPH, 1)
            begin_L = np.concatenate([[0], np.cumsum(count_L)])
            code_L, letter_W, is_wide_L = np.repeat(code_L, count_L), begin_L[letter_W], np.repeat(wide_L, count_L)
            first_L = np.zeros(len(code_L), bool)
            first_L[begin_L[:-1]] = True
        allowed_R = within_documents(len(code_L), letter_W[words.first_D[1:]], RUN_LETTERS)
        hash_R = _hashes(code_L, len(allowed_R))
        chosen_R = (hash_R & np.uint64(KEPT - 1)) == 0
        if is_wide_L is not None and first_L is not None:
            chosen_R = first_L[: len(hash_R)] & (is_wide_L[: len(hash_R)] | chosen_R)
        begin_R = np.flatnonzero(chosen_R & allowed_R)
        return cls(hash_R[begin_R], begin_R, letter_W)

    def first_words(self) -> NDArray[np.int64]:
        """The word in which each run begins, [R]."""
        return np.searchsorted(self.letter_W, self.begin_R, "right") - 1

    def last_words(self) -> NDArray[np.int64]:
        """The word in which each run ends, [R]."""
        return np.searchsorted(self.letter_W, self.begin_R + RUN_LETTERS - 1, "right") - 1


def word_owners(
    begin_R: NDArray[np.int64], owner_R: NDArray[np.int64], letter_W: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The owner of each word all of whose letters lie in claimed runs, [W]; else `UNCLAIMED`.

    A letter in several runs belongs to the owner of the first, a word to the first by number of its letters'.

    Args:
        begin_R: where claimed runs begin, in order.
        owner_R: their owners.
        letter_W: as in `LetterRuns`.
    """
    if len(letter_W) < 2:
        return np.zeros(0, np.int64)
    letter_L = np.arange(letter_W[-1])  # claimed runs may begin before the first one and end after the last
    run_L = np.searchsorted(begin_R, letter_L - RUN_LETTERS + 1)
    begin_r, owner_r = np.append(begin_R, letter_W[-1]), np.append(owner_R, UNCLAIMED)
    owner_L = np.where(begin_r[run_L] <= letter_L, owner_r[run_L], UNCLAIMED)
    return np.asarray(np.minimum.reduceat(owner_L, letter_W[:-1]))


def _hashes(code_L: NDArray[np.unsignedinteger], count: int) -> NDArray[np.uint64]:
    """Hash of the run that begins at each letter, [R]."""
    hash_R, state_K, shifted_K = np.empty(count, np.uint64), *np.empty((2, BLOCK), np.uint64)
    for first in range(0, count, BLOCK):
        after = min(first + BLOCK, count)
        state, shifted = state_K[: after - first], shifted_K[: after - first]
        code_K = code_L[first : after + RUN_LETTERS - 1].astype(np.uint64)
        state[:] = 0
        for offset in range(RUN_LETTERS):
            state ^= code_K[offset : offset + len(state)]
            state *= MULTIPLIER
            np.right_shift(state, SHIFT, out=shifted)
            state ^= shifted
        hash_R[first:after] = state
    return hash_R
