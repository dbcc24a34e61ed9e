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

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.text_runs import in_batches
from tribute.corpus.crediting.word_arrays import NormalWords
from tribute.corpus.equal_values import FirstPlaces
from tribute.corpus.sources import Document

BLOCK_WORDS = 200
SHUFFLED_WORDS = 6
"""Words among which a block's words are shuffled."""
SHUFFLES = 4
AT_ONCE = 2**16
"""Pairs that are looked up at once."""
SEVERAL = -1
"""Instead of the one block that holds a pair."""
MIN_ORDER = 0.02
"""Least usual part of a text's pairs that tells text from shuffled words; below it every order counts."""
RUN_WORDS = 5
USUAL = 0.25
"""Quantile of the other sources that counts as usual."""

FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0xAF251AF3B0F025B5, 0xDB4F0B9175AE2165, 0xBBE0563303A4615F], np.uint64
)
"""One for each place in a run: hashes of words add up to that of the run."""

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Array = NDArray[np.float64]


def eligible_parts(documents: Mapping[str, Sequence[Document]]) -> dict[str, float]:
    """The part of every source's words that is new to it and makes sense, 0 to 1.

    Documents count in their order: the first to say something counts. A source without words has 1.
    """
    word_W, size_S = _words(documents)
    word_SW = np.split(word_W, np.cumsum(size_S)[:-1]) if len(size_S) else []
    block_SW = [_blocks(len(word_W)) for word_W in word_SW]
    blocks_S = np.array([block_W[-1] + 1 if len(block_W) else 0 for block_W in block_SW], np.int64)
    first_S, source_B = np.cumsum(blocks_S) - blocks_S, np.repeat(np.arange(len(size_S)), blocks_S)
    block_W = np.concatenate(
        [np.zeros(0, np.int64), *[b + first for b, first in zip(block_SW, first_S, strict=True)]]
    )
    order_B = _order(word_W, block_W, size_S)
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


def repeats(word_W: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each word lies in a run of five that, but for at most one word, occurred before, [W]."""
    runs = max(len(word_W) - RUN_WORDS + 1, 0)
    value_W, seen_R, repeated_W = word_W.astype(np.uint64), np.zeros(runs, bool), np.zeros(len(word_W), bool)
    hash_R = np.zeros(runs, np.uint64)
    for offset, factor in enumerate(FACTORS):
        hash_R += value_W[offset : offset + runs] * factor
    for offset, factor in enumerate(FACTORS):
        seen_R |= FirstPlaces(hash_R - value_W[offset : offset + runs] * factor).came_before_N
    for offset in range(RUN_WORDS):
        repeated_W[offset : offset + runs] |= seen_R
    return repeated_W


def _words(documents: Mapping[str, Sequence[Document]]) -> tuple[Hashes, Ints]:
    """The words of all documents as hashes, [W], all numerals alike; and how many each source has, [S]."""
    texts = (document.learnt for own in documents.values() for document in own)
    hashes, sizes = [np.zeros(0, np.uint64)], [np.zeros(1, np.int64)]
    for words in map(NormalWords.of, in_batches(texts)):
        hashes.append(words.numerals_alike())
        sizes.append(np.diff(words.first_D))
    size_D = np.cumsum(np.concatenate(sizes))
    documents_S = np.cumsum([0, *map(len, documents.values())])
    return np.concatenate(hashes), np.diff(size_D[documents_S])


def _blocks(words: int) -> Ints:
    """The block of each word, [W]: equal blocks, the last one larger."""
    return np.minimum(np.arange(words) // BLOCK_WORDS, max(words // BLOCK_WORDS - 1, 0))


def _per_word(source_B: Ints, amount_B: Array, size_S: Ints) -> Array:
    """Amounts of blocks by source, per word."""
    return np.bincount(source_B, amount_B, len(size_S)) / np.maximum(size_S, 1)


def _order(word_W: Hashes, block_W: Ints, size_S: Ints) -> Array:
    """Pairs of neighbours known from other blocks, less those that shuffling leaves, per pair, [B]."""
    if len(word_W) < 2:
        return np.zeros(len(word_W))
    known = _KnownPairs(word_W, block_W)
    excess_B = known.elsewhere()
    for shuffle in range(SHUFFLES):
        excess_B -= known.elsewhere_of(_shuffled(size_S, shuffle)) / SHUFFLES
    return np.asarray(excess_B / known.pairs_B.clip(1))


class _KnownPairs:
    """Pairs of neighbours within blocks, and the blocks that hold them.

    Attributes:
        pairs_B: how many each block has.
    """

    def __init__(self, word_W: Hashes, block_W: Ints) -> None:
        self._word_W, self._block_P = word_W, block_W[:-1].astype(np.int32)
        self._inside_P = block_W[:-1] == block_W[1:]
        self._first_B = np.searchsorted(block_W, np.arange(block_W[-1] + 1))
        block_p = self._block_P[self._inside_P]
        self.pairs_B = np.bincount(block_p, minlength=int(block_W[-1]) + 1)
        self._places = FirstPlaces(_pairs(word_W)[self._inside_P])
        last_p = block_p.copy()  # the last block that holds a pair, at its first place
        np.maximum.at(last_p, self._places.first_N, block_p)
        self._only_p = np.where(last_p == block_p, block_p, SEVERAL)

    def elsewhere(self) -> Array:
        """Pairs that other blocks hold too, by block, [B]."""
        found_P = np.zeros(len(self._block_P), bool)
        found_P[self._inside_P] = self._only_p[self._places.first_N] != self._block_P[self._inside_P]
        return self._by_block(found_P)

    def elsewhere_of(self, order_W: Ints) -> Array:
        """Of the words in another order, the pairs that other blocks hold, by block, [B]."""
        found_P = np.zeros(len(self._block_P), bool)
        for first in range(0, len(found_P), AT_ONCE):
            at = slice(first, first + AT_ONCE)
            place_p = self._places.of(_pairs(self._word_W[order_W[first : first + AT_ONCE + 1]]))
            found_P[at] = (self._only_p.take(place_p) != self._block_P[at]) & (place_p >= 0) & self._inside_P[at]
        return self._by_block(found_P)

    def _by_block(self, found_P: NDArray[np.bool_]) -> Array:
        return np.add.reduceat(np.append(found_P, False), self._first_B, dtype=np.int64).astype(np.float64)


def _pairs(word_W: Hashes) -> Hashes:
    """Hash of each word and the next one, [P]."""
    return word_W[:-1] * FACTORS[0] + word_W[1:] * FACTORS[1]


def _shuffled(size_S: Ints, seed: int) -> Ints:
    """The places of all words, shuffled among `SHUFFLED_WORDS` neighbours, [W]; in every source alike."""
    groups = -(-int(size_S.max(initial=0)) // SHUFFLED_WORDS)
    bits = SHUFFLED_WORDS.bit_length()
    drawn_N = np.random.default_rng(seed).random(groups * SHUFFLED_WORDS) * 2**53  # whole numbers
    key_GN = drawn_N.astype(np.uint64).reshape(groups, SHUFFLED_WORDS) << np.uint64(bits)
    key_GN |= np.arange(SHUFFLED_WORDS, dtype=np.uint64)
    key_GN.sort(axis=1)
    within_GN = (key_GN & np.uint64((1 << bits) - 1)).astype(np.int64)
    order_N = (within_GN + SHUFFLED_WORDS * np.arange(groups)[:, None]).reshape(-1)
    places = [np.zeros(0, np.int64)]
    for begin, size in zip((np.cumsum(size_S) - size_S).tolist(), size_S.tolist(), strict=True):
        whole = size - size % SHUFFLED_WORDS
        rest = order_N[whole : whole + SHUFFLED_WORDS]
        places += [order_N[:whole] + begin, rest[rest < size] + begin]
    return np.concatenate(places)
