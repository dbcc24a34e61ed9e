"""The tokens of a snapshot's sources as values of an index, and the words of its documents.

Legend: N rows of a file, W tokens of a row, w words of a document.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.normal_words import word_spans
from tribute.corpus.crediting.word_arrays import NormalWords
from tribute.corpus.encoding import PADDING
from tribute.corpus.verbatim.hashing import BREAK
from tribute.corpus.verbatim.index import RunIndex

SPAN = np.dtype([("begin", "<u4"), ("end", "<u4")])
"""Where a word stands in the characters of its document."""
WORD_DTYPE = "<i8"


class Tokens(NamedTuple):
    """How the tokens of a corpus are read.

    Attributes:
        decode: the text of some tokens.
        separator: the token between documents; it is part of no run.
        least: tokens of the shortest run that counts.
    """

    decode: Callable[[NDArray[np.integer]], str]
    separator: int
    least: int


def _utf8(tokens: NDArray[np.integer]) -> str:
    return tokens.astype(np.uint8).tobytes().decode("utf-8", "replace")


BYTES = Tokens(_utf8, separator=0, least=30)
"""Tokens that are the bytes of UTF-8."""


def values_of(tokens: NDArray[np.integer], separator: int) -> NDArray[np.int64]:
    """Tokens as values: one more each, so that `BREAK` is free for separators and padding."""
    ends = (tokens == separator) | (tokens == PADDING)
    return np.where(ends, BREAK, tokens.astype(np.int64) + 1)


def joined_windows(rows: NDArray[np.integer]) -> NDArray[np.integer]:
    """The tokens of a query out of its windows [N, W], which overlap by one token, without padding."""
    flat = np.concatenate([rows[:1].reshape(-1), rows[1:, 1:].reshape(-1)])
    return flat[flat != PADDING]


def stored_values(token_NWs: Iterable[NDArray[np.integer]], separator: int) -> Iterator[NDArray[np.int64]]:
    """The values of a source's examples, some rows at a time, [N, W] each.

    Windows of a text overlap by one token and make one stream again. Where the rows do not continue each other,
    each is a document of its own.
    """
    last, streamed = None, True
    for token_NW in token_NWs:
        follows_N = np.concatenate([[token_NW[0, 0] == last], token_NW[1:, 0] == token_NW[:-1, -1]])
        follows_N &= token_NW[:, 0] != PADDING
        streamed = streamed and bool(follows_N[last is None :].all())
        yield _stream(token_NW, separator, streamed, last is None)
        last = token_NW[-1, -1]


def _stream(token_NW: NDArray, separator: int, streamed: bool, first: bool) -> NDArray[np.int64]:
    """Rows behind one another: without the token that they share, or with a break before each and no padding."""
    value_NW = values_of(token_NW, separator)
    if streamed:
        return np.concatenate([value_NW[0, 0 if first else 1 :], value_NW[1:, 1:].reshape(-1)])
    broken = np.concatenate([np.full((len(value_NW), 1), BREAK), value_NW], 1)
    kept = np.concatenate([np.ones((len(value_NW), 1), bool), token_NW != PADDING], 1)
    kept[0, 0] = not first
    return np.asarray(broken[kept])


def document_text(index: RunIndex, tokens: Tokens, document: int) -> str:
    """The text of a document of an index of tokens."""
    begin, end = index.span_of(document)
    return tokens.decode(index.values[begin:end].astype(np.int64) - 1)


def word_values(index: RunIndex, tokens: Tokens, source: int, places: BinaryIO) -> Iterator[NDArray[np.int64]]:
    """The words of a source's documents as values, document by document; where they stand goes to a file.

    The file has a `SPAN` for every value of the index of words, also for its breaks.
    """
    first, after = index.first_document(source), index.first_document(source + 1)
    for document in range(first, after):
        text = document_text(index, tokens, document)
        words = NormalWords.of([text])
        span_V = np.zeros(1 + len(words), SPAN)  # the break before it comes first
        span_V["begin"][1:], span_V["end"][1:] = word_spans(text, words)
        span_V.tofile(places)
        values = _values(words)
        yield values if document == first else np.concatenate([[BREAK], values])


def word_hashes(text: str) -> NDArray[np.int64]:
    """The normal words of a text as values, [w]: 63 bits of a hash of each."""
    return _values(NormalWords.of([text]))


def _values(words: NormalWords) -> NDArray[np.int64]:
    return np.maximum(words.hash_W >> np.uint64(1), 1).astype(np.int64)
