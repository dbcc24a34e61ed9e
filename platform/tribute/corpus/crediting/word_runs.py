"""Runs of five words, as numbers, and the stretches of words that some of them cover.

Legend: W words, R runs: one begins at every word but the last four.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 5
GAP = 3
"""Words between two covered ones that count as covered."""

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
Stretches = list[tuple[int, int]]
"""First word, and the one after the last."""


def numbered_runs(texts: Sequence[str]) -> tuple[list[NDArray[np.int64]], int]:
    """Every five words in a row of every text, equal runs under one number; how many numbers there are."""
    hashes: dict[str, int] = {}
    runs = [_runs(text.split(), hashes) for text in texts]
    found, number_R = np.unique(np.concatenate([np.zeros(0, np.uint64), *runs]), return_inverse=True)
    return np.split(number_R, np.cumsum([len(each) for each in runs]))[:-1], len(found)


def joined(chosen_R: NDArray[np.bool_]) -> Stretches:
    """Stretches of words that these runs cover, over gaps."""
    found: Stretches = []
    for begin in np.flatnonzero(chosen_R).tolist():
        if found and begin <= found[-1][1] + GAP:
            found[-1] = found[-1][0], begin + SHINGLE_WORDS
        else:
            found.append((begin, begin + SHINGLE_WORDS))
    return found


def covered(stretches: Stretches, words: int) -> NDArray[np.bool_]:
    """Which of so many words are in any stretch, [W]."""
    covered_W = np.zeros(words, bool)
    for begin, end in stretches:
        covered_W[begin:end] = True
    return covered_W


def edges(covered_W: NDArray[np.bool_]) -> Stretches:
    """Stretches of words that are covered, in order."""
    found = np.flatnonzero(np.diff(np.concatenate([[0], covered_W, [0]])))
    return list(zip(found[::2].tolist(), found[1::2].tolist(), strict=True))


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
