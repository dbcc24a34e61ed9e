"""The runs by which documents are compared, as arrays of some documents: what is hashed while text is read.

Legend: D documents, W words, R runs.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.letter_runs import LetterRuns
from tribute.corpus.crediting.word_arrays import NormalWords
from tribute.corpus.crediting.word_runs import SHINGLE_WORDS, in_every_word, within_documents, word_runs

AT_ONCE = 2**18
"""Characters of text that are compared at once: so many stay in the cache."""


@dataclass(frozen=True)
class TextRuns:
    """The runs of some documents, one after the other.

    Attributes:
        digest_D: SHA-256 of each document in normal form; of the text itself where that has no word.
        first_D: the first word of each; one more entry, the number of words.
        hash_R: of five words each. Those with an ideograph are left out: five characters say too little, so only
            letters are compared.
        word_R: the word where each of these begins.
        letters: runs of letters.
    """

    digest_D: list[bytes]
    first_D: NDArray[np.int64]
    hash_R: NDArray[np.uint64]
    word_R: NDArray[np.int64]
    letters: LetterRuns

    @classmethod
    def of(cls, texts: Sequence[str]) -> "TextRuns":
        """The runs of some texts."""
        words = NormalWords.of(texts)
        hash_R, word_R = runs_of_words(words)
        bytes_D = words.begin_W[words.first_D].tolist()
        digests = [
            hashlib.sha256(words.letters[begin:end] or text.strip().encode("utf-8", "surrogatepass")).digest()
            for text, begin, end in zip(texts, bytes_D[:-1], bytes_D[1:], strict=True)
        ]
        return cls(digests, words.first_D, hash_R, word_R, LetterRuns.of(words))


def runs_of_words(words: NormalWords) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the runs of five words of some documents, and where they begin, [R] each, as in `TextRuns`."""
    chosen_R = within_documents(len(words), words.first_D[1:], SHINGLE_WORDS)
    if words.ideograph_W is not None:
        chosen_R &= in_every_word(~words.ideograph_W)
    word_R = np.flatnonzero(chosen_R)
    return word_runs(words.hash_W)[word_R], word_R


def joined_runs(texts: Iterable[str]) -> TextRuns:
    """The runs of any number of texts, hashed some at a time."""
    parts = [TextRuns.of(some) for some in in_batches(texts)] or [TextRuns.of([])]
    words = np.cumsum([0, *(part.first_D[-1] for part in parts)])
    letters = np.cumsum([0, *(part.letters.letter_W[-1] for part in parts)])
    return TextRuns(
        [digest for part in parts for digest in part.digest_D],
        _behind([part.first_D[:-1] for part in parts], words),
        np.concatenate([part.hash_R for part in parts]),
        _behind([part.word_R for part in parts], words)[:-1],
        LetterRuns(
            np.concatenate([part.letters.hash_R for part in parts]),
            _behind([part.letters.begin_R for part in parts], letters)[:-1],
            _behind([part.letters.letter_W[:-1] for part in parts], letters),
        ),
    )


def in_batches(texts: Iterable[str], characters: int = AT_ONCE) -> Iterator[list[str]]:
    """Texts, about so many characters of them at a time."""
    some, size = list[str](), 0
    for text in texts:
        some.append(text)
        size += len(text)
        if size >= characters:
            yield some
            some, size = [], 0
    if some:
        yield some


def _behind(places: Sequence[NDArray[np.int64]], begins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places within parts as places within all of them, and the end of the last part."""
    return np.concatenate([*(each + begin for each, begin in zip(places, begins, strict=False)), begins[-1:]])
