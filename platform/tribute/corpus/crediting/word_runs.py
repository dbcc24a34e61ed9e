"""Runs of five words, as numbers, and the stretches of words that they cover.

Legend: W words, R runs; a run begins at every word but the last four.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 5
GAP = 3
"""Largest number of uncovered words between covered ones that still count as covered."""

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
Stretches = list[tuple[int, int]]
"""Pairs of the first word and the one after the last."""


def word_runs(hash_W: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash of each five-word run, [R], from the hashes of its words."""
    found_R = np.zeros(max(len(hash_W) - SHINGLE_WORDS + 1, 0), np.uint64)
    for offset in range(SHINGLE_WORDS):
        found_R = (found_R ^ hash_W[offset : offset + len(found_R)]) * MULTIPLIER
    return found_R


def within_documents(values: int, end_D: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Whether the run of `size` values that begins at each lies in one document, [R].

    Args:
        values: words or letters of all documents, one after the other.
        end_D: how many there are up to the end of each document.
    """
    within_R = np.ones(max(values - size + 1, 0), bool)
    broken = (end_D[:, None] - np.arange(1, size)).reshape(-1)
    within_R[broken[(broken >= 0) & (broken < len(within_R))]] = False
    return within_R


def in_every_word(word_W: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether all five words of each run are marked, [R]."""
    count_W = np.concatenate([[0], np.cumsum(word_W)])
    return np.asarray(count_W[SHINGLE_WORDS:] - count_W[:-SHINGLE_WORDS] == SHINGLE_WORDS)


def joined(begin_r: Iterable[int]) -> Stretches:
    """Stretches of words that runs cover, joined over gaps, given where these begin, in order."""
    stretches: Stretches = []
    for begin in begin_r:
        if stretches and begin <= stretches[-1][1] + GAP:
            stretches[-1] = stretches[-1][0], begin + SHINGLE_WORDS
        else:
            stretches.append((begin, begin + SHINGLE_WORDS))
    return stretches


def covered(stretches: Stretches, words: int) -> NDArray[np.bool_]:
    """Whether each of `words` words lies in a stretch, [W]."""
    covered_W = np.zeros(words, bool)
    for begin, end in stretches:
        covered_W[begin:end] = True
    return covered_W


def edges(covered_W: NDArray[np.bool_]) -> Stretches:
    """Stretches of covered words, in order."""
    changes = np.flatnonzero(np.diff(np.concatenate([[0], covered_W, [0]])))
    return list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))
