"""Words as texts are compared by, and where they stand. See `word_arrays` for what a word is."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.letters import NORMAL
from tribute.corpus.crediting.word_arrays import NormalWords

ASCII = 128
_COUNT = np.array([len(NORMAL[code].strip()) for code in range(ASCII)])
_IS_SPACE = np.array([NORMAL[code] == " " for code in range(ASCII)])


def normal_words(text: str) -> list[str]:
    """The words of a text in normal form, in order; characters that are neither letter nor digit make none."""
    words = NormalWords.of([text])
    letters = words.letters.decode()
    return [letters[begin:end] for begin, end in pairwise(words.letter_W.tolist())]


def spans(text: str) -> list[tuple[int, int]]:
    """Where each normal word of a text begins and ends; punctuation belongs to the word before it."""
    begin_W, end_W = word_spans(text, NormalWords.of([text]))
    return list(zip(begin_W.tolist(), end_W.tolist(), strict=True))


def word_spans(text: str, words: NormalWords) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each normal word of a text begins and ends, [W] each; `words` are those of the text.

    Legend: C characters, c chunks between spaces, L letters, W words.
    """
    if not len(words):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    count_C, is_space_C = _letters_of_characters(text)
    place_L = np.repeat(np.arange(len(count_C)), count_C)
    edges_c = np.flatnonzero(np.diff(is_space_C, prepend=True, append=True))
    begin_c, end_c = edges_c[::2], edges_c[1::2]
    place_W = place_L[words.letter_W[:-1]]
    chunk_W = np.searchsorted(begin_c, place_W, "right") - 1
    opens_W = np.diff(chunk_W, prepend=-1) > 0
    begin_W = np.where(opens_W, begin_c[chunk_W], place_W)
    next_W = np.append(begin_W[1:], 0)
    return begin_W, np.where(np.append(opens_W[1:], True), end_c[chunk_W], next_W)


def _letters_of_characters(text: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """How many normal letters each character becomes, and whether it is a space, [C] each."""
    if text.isascii():
        code_C = np.frombuffer(text.encode(), np.uint8)
        return _COUNT[code_C], _IS_SPACE[code_C]
    code_C = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    low_C = np.minimum(code_C, ASCII - 1)
    count_C, is_space_C = _COUNT[low_C], _IS_SPACE[low_C]
    other = np.flatnonzero(code_C >= ASCII)
    codes, inverse = np.unique(code_C[other], return_inverse=True)
    normal = [NORMAL[code] for code in codes.tolist()]
    count_C[other] = np.array([len(letters.replace(" ", "")) for letters in normal], np.int64)[inverse]
    is_space_C[other] = np.array([letters == " " for letters in normal], bool)[inverse]
    return count_C, is_space_C
