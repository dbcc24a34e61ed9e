"""Words as texts are compared by: without case, marks, punctuation and characters without width.

A word is what stands between spaces. Ideographs and kana are words of their own, since their scripts set no
spaces. A word of more than `LONGEST_WORD` letters is cut: it may be a sentence whose spaces were removed.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache

from tribute.ids import LOOK_ALIKE_LETTERS

LONGEST_WORD = 24
PIECE = 8
"""Letters of a piece of a longer word."""

Piece = tuple[str, int]
"""A normal word, and where it begins in the characters between two spaces."""


def normal_words(text: str) -> list[str]:
    """The words of a text in normal form, in order; characters that are neither letter nor digit make none."""
    return [word for chunk in text.split() for word, _ in _pieces(chunk)]


def spans(text: str) -> list[tuple[int, int]]:
    """Where each normal word of a text begins and ends; punctuation belongs to the word before it."""
    found: list[tuple[int, int]] = []
    place = 0
    for chunk in text.split():
        begin = text.index(chunk, place)
        place = begin + len(chunk)
        starts = [start for _, start in _pieces(chunk)]
        if starts:
            ends = [*starts[1:], len(chunk)]
            starts[0] = 0
            found += [(begin + start, begin + end) for start, end in zip(starts, ends, strict=True)]
    return found


def is_ideograph(character: str) -> bool:
    """Whether a letter is one of Chinese or Japanese writing, which sets no spaces."""
    code = ord(character)
    return 0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0x20000 <= code <= 0x3FFFF


@cache
def _letters(character: str) -> str:
    """A character in normal form: its letters and digits, none for marks and punctuation."""
    folded = unicodedata.normalize("NFKD", character).casefold()
    kept = (each for each in unicodedata.normalize("NFKD", folded) if unicodedata.category(each)[0] in "LN")
    return "".join(LOOK_ALIKE_LETTERS.get(each, each) for each in kept)


def _cut(chunk: str) -> Iterator[Piece]:
    if len(chunk) <= LONGEST_WORD and chunk.isascii() and chunk.isalnum():
        yield chunk.lower(), 0
        return
    placed = [(letter, place) for place, character in enumerate(chunk) for letter in _letters(character)]
    begin = 0
    while begin < len(placed):
        end = begin + 1
        if not is_ideograph(placed[begin][0]):
            while end < len(placed) and not is_ideograph(placed[end][0]):
                end += 1
        size = end - begin if end - begin <= LONGEST_WORD else PIECE
        for first in range(begin, end, size):
            part = placed[first : min(first + size, end)]
            yield "".join(letter for letter, _ in part), part[0][1]
        begin = end


@lru_cache(500_000)
def _pieces(chunk: str) -> tuple[Piece, ...]:
    return tuple(_cut(chunk))
