"""Text that says something: words that are new to their source, in an order that others use too.

Padding is new to any comparison with others' text, so crediting keeps it. Two tests of a source's words find it:

1. A word repeats if it lies in a run of five words which, but for one, its source has had before. Numbers are all
   alike. So templates and boilerplate count once, whatever is filled in.
2. Blocks of words are compared with themselves after the words were shuffled over a short distance. In text that
   says something, more pairs of neighbours occur elsewhere in the corpus than shuffling leaves. In words of random
   order and in random letters they do not.

What is usual differs from market to market, so a source is compared with the other sources: see `part_of_usual`.

Legend: W words, B blocks, S sources, P pairs of neighbours.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.normal_words import normal_words
from tribute.corpus.sources import Document

BLOCK_WORDS = 200
SHUFFLED_WORDS = 6
"""Words among which a block's words are shuffled."""
SHUFFLES = 4
MIN_ORDER = 0.02
"""Least usual part of a text's pairs that tells text from shuffled words; below it every order counts."""
RUN_WORDS = 5
USUAL = 0.25
"""Quantile of the other sources that counts as usual."""

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
ANY_WORD = np.uint64(0xD1B54A32D192ED03)

Ints = NDArray[np.int64]
Array = NDArray[np.float64]


def eligible_parts(documents: Mapping[str, Sequence[Document]]) -> dict[str, float]:
    """The part of every source's words that is new to it and makes sense, 0 to 1.

    Documents count in their order: the first to say something counts. A source without words has 1.
    """
    numbers: dict[str, int] = {}
    word_SW = [_numbered(documents[source_id], numbers) for source_id in documents]
    size_S = np.array([len(word_W) for word_W in word_SW], np.int64)
    block_SW = [_blocks(len(word_W)) for word_W in word_SW]
    blocks_S = np.array([block_W[-1] + 1 if len(block_W) else 0 for block_W in block_SW], np.int64)
    first_S, source_B = np.cumsum(blocks_S) - blocks_S, np.repeat(np.arange(len(size_S)), blocks_S)
    word_W = np.concatenate([np.zeros(0, np.int64), *word_SW])
    block_W = np.concatenate(
        [np.zeros(0, np.int64), *[b + first for b, first in zip(block_SW, first_S, strict=True)]]
    )
    order_B = _order(word_W, block_W, size_S, len(numbers))
    words_B = np.bincount(block_W, minlength=len(source_B))
    new_W = np.concatenate([np.zeros(0), *[~repeats(word_W) for word_W in word_SW]])
    new_B = np.bincount(block_W, new_W, len(source_B)).astype(np.float64)
    mean_S = _per_word(source_B, order_B * words_B, size_S)
    usual_B = usual_of_others(mean_S)[source_B]
    told_B = usual_B > MIN_ORDER
    sense_B = np.where(told_B, np.minimum(order_B, usual_B).clip(0) / np.where(told_B, usual_B, 1), 1)
    part_S = np.where(size_S > 0, _per_word(source_B, new_B * sense_B, size_S), 1)
    return dict(zip(documents, part_S.tolist(), strict=True))


def part_of_usual(figure_S: Array) -> Array:
    """Each source's figure as a part of what is usual for the other sources, 0 to 1: 1 for nearly every source.

    x_s / q_s, at most 1, with q_s the lower quartile of the others' figures; 1 where that is not positive. So a
    source cannot move what it is compared with.
    """
    usual_S = usual_of_others(figure_S)
    known_S = usual_S > 0
    kept_S = np.minimum(figure_S, usual_S).clip(0) / np.where(known_S, usual_S, 1)
    return np.asarray(np.where(known_S, kept_S, 1.0))


def usual_of_others(figure_S: Array) -> Array:
    """The lower quartile of the other sources' figures, [S]; interpolated. A single source has its own."""
    count = len(figure_S)
    if count < 2:
        return np.array(figure_S, dtype=np.float64)
    sorted_S, rank_S = np.sort(figure_S), np.empty(count, np.int64)
    rank_S[np.argsort(figure_S, kind="stable")] = np.arange(count)
    place = USUAL * (count - 2)
    low = int(place)
    low_S, high_S = (sorted_S[at + (at >= rank_S)] for at in (low, min(low + 1, count - 2)))
    return np.asarray(low_S + (place - low) * (high_S - low_S))


def repeats(word_W: Ints) -> NDArray[np.bool_]:
    """Whether each word lies in a run of five that, but for at most one word, occurred before, [W]."""
    runs = max(len(word_W) - RUN_WORDS + 1, 0)
    value_W, seen_R, repeated_W = word_W.astype(np.uint64), np.zeros(runs, bool), np.zeros(len(word_W), bool)
    for any_word in range(RUN_WORDS):
        hash_R = np.zeros(runs, np.uint64)
        for offset in range(RUN_WORDS):
            hash_R ^= ANY_WORD if offset == any_word else value_W[offset : offset + runs]
            hash_R *= MULTIPLIER
            hash_R ^= hash_R >> np.uint64(29)
        _, first, inverse = np.unique(hash_R, return_index=True, return_inverse=True)
        seen_R |= first[inverse] < np.arange(runs)
    for offset in range(RUN_WORDS):
        repeated_W[offset : offset + runs] |= seen_R
    return repeated_W


def _numbered(documents: Sequence[Document], numbers: dict[str, int]) -> Ints:
    """The words of a source's documents as numbers, [W]; equal words share one, and so do all numerals."""
    words = (re.sub(r"\d+", "0", word) for document in documents for word in normal_words(document.learnt))
    return np.fromiter((numbers.setdefault(word, len(numbers)) for word in words), np.int64)


def _blocks(words: int) -> Ints:
    """The block of each word, [W]: equal blocks, the last one larger."""
    return np.minimum(np.arange(words) // BLOCK_WORDS, max(words // BLOCK_WORDS - 1, 0))


def _per_word(source_B: Ints, amount_B: Array, size_S: Ints) -> Array:
    """Amounts of blocks by source, per word."""
    return np.bincount(source_B, amount_B, len(size_S)) / np.maximum(size_S, 1)


def _order(word_W: Ints, block_W: Ints, size_S: Ints, vocabulary: int) -> Array:
    """Pairs of neighbours known from other blocks, less those that shuffling leaves, per pair, [B]."""
    blocks = int(block_W[-1]) + 1 if len(block_W) else 0
    inside_P = block_W[:-1] == block_W[1:]
    block_P = block_W[:-1][inside_P]

    def pairs(words_W: Ints) -> Ints:
        return (words_W[:-1] * vocabulary + words_W[1:])[inside_P]

    known, inverse = np.unique(pairs(word_W), return_inverse=True)
    first, last = np.full(len(known), blocks), np.full(len(known), -1)
    np.minimum.at(first, inverse, block_P)
    np.maximum.at(last, inverse, block_P)

    def elsewhere(pair_P: Ints) -> Array:
        """Pairs that other blocks hold too, by block, [B]."""
        at_P = np.searchsorted(known, pair_P).clip(max=max(len(known) - 1, 0))
        found_P = (known[at_P] == pair_P) & ((first[at_P] < block_P) | (last[at_P] > block_P))
        return np.bincount(block_P, found_P.astype(np.float64), blocks).astype(np.float64)

    here_W = np.concatenate([np.zeros(0, np.int64), *map(np.arange, size_S)])
    near_W, of_W = here_W // SHUFFLED_WORDS, np.repeat(np.arange(len(size_S)), size_S)
    excess_B = elsewhere(pairs(word_W))
    for shuffle in range(SHUFFLES):
        draw_W = np.concatenate([np.zeros(0), *[np.random.default_rng(shuffle).random(size) for size in size_S]])
        excess_B -= elsewhere(pairs(word_W[np.lexsort((draw_W, near_W, of_W))])) / SHUFFLES
    return np.asarray(excess_B / np.bincount(block_P, minlength=blocks).clip(1))
