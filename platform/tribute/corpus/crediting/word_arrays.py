"""The normal words of documents as arrays, so that no word costs a step of Python.

A word is what stands between spaces, in normal letters. Ideographs and kana are words of their own, since their
scripts set no spaces. A word of more than `LONGEST_WORD` letters is cut: it may be a sentence whose spaces were
removed.

Legend: W words, L letters, D documents, B bytes, S spaces.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.letters import DOCUMENT_SPACE, IDEOGRAPHS, SPACE, normal_bytes

LONGEST_WORD = 24
PIECE = 8
"""Letters of a piece of a longer word."""

NUMERAL, OTHER_DIGIT = re.compile(r"\d+"), re.compile(r"[^\D0-9]")
LANE = 8
"""Bytes of a word that are hashed at once."""
BASE = np.uint64(0x9E3779B97F4A7C15)
MIXERS = (np.uint64(32), np.uint64(0xD6E8FEB86659FD93)), (np.uint64(29), np.uint64(0xC4CEB9FE1A85EC53))
LAST_SHIFT = np.uint64(32)
MASKS = np.array([(1 << 8 * size) - 1 for size in range(LANE + 1)], np.uint64)

Places = NDArray[np.int64]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class NormalWords:
    """The normal words of documents, one after the other.

    Attributes:
        letters: UTF-8 of all words, without spaces.
        begin_W: the first byte of each word; one more entry, where the last one ends.
        first_D: the first word of each document; one more entry, the number of words.
    """

    letters: bytes
    begin_W: Places
    first_D: Places

    @classmethod
    def of(cls, texts: Sequence[str]) -> "NormalWords":
        """The words of some texts."""
        normal = normal_bytes(texts)
        normal_B = np.frombuffer(normal, np.uint8)
        space_S = np.append(np.flatnonzero(normal_B <= SPACE), len(normal_B))
        is_end_S = np.append(normal_B[space_S[:-1]] == DOCUMENT_SPACE, len(texts) > 0)
        end_S = space_S - np.arange(len(space_S))  # in bytes of letters
        letters = normal.translate(None, bytes([SPACE, DOCUMENT_SPACE]))
        begin_W = np.concatenate([[0], end_S[np.diff(end_S, prepend=0) > 0]])
        begin_W = _with_long_words_cut(begin_W, letters)
        return cls(letters, begin_W, np.searchsorted(begin_W, np.concatenate([[0], end_S[is_end_S]])))

    def __len__(self) -> int:
        """Number of words."""
        return len(self.begin_W) - 1

    @cached_property
    def hash_W(self) -> Hashes:
        """Hash of each word, see `byte_hashes`."""
        return byte_hashes(self.letters, self.begin_W)

    @cached_property
    def is_ascii(self) -> bool:
        """Whether all letters are of ASCII, so that letters are bytes."""
        return self.letters.isascii()

    @cached_property
    def code_L(self) -> NDArray[np.unsignedinteger]:
        """Every letter as a number."""
        if self.is_ascii:
            return np.frombuffer(self.letters, np.uint8)
        return np.frombuffer(self.letters.decode().encode("utf-32-le"), "<u4")

    @cached_property
    def letter_W(self) -> Places:
        """The first letter of each word; one more entry, as in `begin_W`."""
        if self.is_ascii:
            return self.begin_W
        return np.concatenate([[0], np.cumsum(_opens(self.letters))])[self.begin_W]

    @cached_property
    def ideograph_W(self) -> NDArray[np.bool_] | None:
        """Whether each word is an ideograph; None: none is."""
        if self.is_ascii:
            return None
        code_W = self.code_L[self.letter_W[:-1]]
        found_W = np.zeros(len(code_W), bool)
        for first, after in IDEOGRAPHS:
            found_W |= (code_W >= first) & (code_W < after)
        return found_W if found_W.any() else None

    def numerals_alike(self) -> Hashes:
        """Hash of each word, [W], with a zero for every numeral in it."""
        digit_B = np.frombuffer(self.letters, np.uint8) - ord("0") < 10
        if not self.is_ascii and OTHER_DIGIT.search(self.letters.decode()):
            digit_B |= np.frombuffer(self.letters, np.uint8) >= 0x80  # or a letter: looked at below
        of = np.searchsorted(self.begin_W, np.flatnonzero(digit_B), "right") - 1
        numeral_w = of[np.diff(of, prepend=-1) > 0]
        if not len(numeral_w):
            return self.hash_W
        edges = zip(self.begin_W[numeral_w].tolist(), self.begin_W[numeral_w + 1].tolist(), strict=True)
        written = b" ".join([self.letters[begin:end] for begin, end in edges])
        alike = NUMERAL.sub("0", written.decode()).encode()
        space_s = np.append(np.flatnonzero(np.frombuffer(alike, np.uint8) == SPACE), len(alike))
        begin_w = np.concatenate([[0], space_s - np.arange(len(space_s))])
        hash_W = self.hash_W.copy()
        hash_W[numeral_w] = byte_hashes(alike.replace(b" ", b""), begin_w)
        return hash_W


def byte_hashes(content: bytes, begin_W: Places) -> Hashes:
    """Hash of each piece of some bytes, [W], given where each begins, and where the last one ends, [W + 1].

    Eight bytes at a time are added to a state h, which is mixed: h = mix(BASE h + bytes), mix being a bijection of
    64-bit numbers. It is the same on every machine. Different pieces of at most eight bytes never share a hash
    unless one holds NUL. Others do as random numbers do: among n of them about n^2 / 2^65 pairs, one in 10,000
    corpora of 60 million different long words.
    """
    lane_B = np.ndarray(len(content) + 1, "<u8", content + bytes(LANE), strides=(1,))
    begin_w, size_w = begin_W[:-1], np.diff(begin_W)
    hash_W = mixed(lane_B[begin_w] & MASKS[np.minimum(size_w, LANE)])
    rest = np.flatnonzero(size_w > LANE)
    begin_w, size_w = begin_w[rest], size_w[rest]
    while len(rest):
        begin_w, size_w = begin_w + LANE, size_w - LANE
        lane_w = lane_B[begin_w] & MASKS[np.minimum(size_w, LANE)]
        hash_W[rest] = mixed(hash_W[rest] * BASE + lane_w)
        longer = size_w > LANE
        rest, begin_w, size_w = rest[longer], begin_w[longer], size_w[longer]
    return hash_W


def mixed(value_N: Hashes) -> Hashes:
    """A bijection of 64-bit numbers that spreads every bit over all; changes its argument, and returns it."""
    for shift, factor in MIXERS:
        value_N ^= value_N >> shift
        value_N *= factor
    value_N ^= value_N >> LAST_SHIFT
    return value_N


def _opens(letters: bytes) -> NDArray[np.bool_]:
    """Whether a letter begins at each byte; later bytes of a letter are 10xxxxxx."""
    return np.asarray((np.frombuffer(letters, np.uint8) & 0xC0) != 0x80)


def _with_long_words_cut(begin_W: Places, letters: bytes) -> Places:
    """Where words begin, and those pieces that words of more than `LONGEST_WORD` letters are cut into."""
    long_w = np.flatnonzero(np.diff(begin_W) > LONGEST_WORD)  # in bytes
    if not len(long_w):
        return begin_W
    begin_L = None if letters.isascii() else np.flatnonzero(_opens(letters))
    first_w, after_w = begin_W[long_w], begin_W[long_w + 1]
    if begin_L is not None:
        first_w, after_w = np.searchsorted(begin_L, first_w), np.searchsorted(begin_L, after_w)
    cuts_w = np.where(after_w - first_w > LONGEST_WORD, (after_w - first_w - 1) // PIECE, 0)
    of = np.repeat(np.arange(len(long_w)), cuts_w)
    number = np.arange(len(of)) - (np.cumsum(cuts_w) - cuts_w)[of] + 1
    cut = first_w[of] + PIECE * number
    return np.insert(begin_W, long_w[of] + 1, cut if begin_L is None else begin_L[cut])
