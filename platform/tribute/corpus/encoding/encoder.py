"""From text to tokens and back: what every encoder does, and bytes as tokens.

Legend: T tokens of a text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.sources import Spans
from tribute.errors import CorpusError

PADDING = -1


class LocatedTokens(NamedTuple):
    """Tokens of a text, [T], and the characters that each stands for, from and to, [T] each."""

    token_T: NDArray[np.integer]
    begin_T: NDArray[np.int64]
    end_T: NDArray[np.int64]


class Encoder(Protocol):
    """Text to tokens and back."""

    @property
    def dtype(self) -> type[np.signedinteger]:
        """Of tokens, wide enough for all of them and for padding, -1."""
        ...

    @property
    def separator(self) -> int:
        """The token between documents."""
        ...

    @property
    def unit(self) -> str:
        """What messages call tokens."""
        ...

    def encode(self, texts: Iterable[str]) -> Iterator[NDArray[np.integer]]:
        """Tokens of each text, [T], without special tokens around it."""
        ...

    def locate(self, text: str) -> LocatedTokens:
        """Tokens of a text with their characters. A character of several tokens belongs to each of them."""
        ...

    def decode(self, tokens: NDArray[np.integer]) -> str:
        """The text of some tokens; padding is left out."""
        ...

    def render(self, messages: Sequence[Mapping[str, object]]) -> tuple[str, Spans]:
        """A chat as the model reads it, and the characters that the assistant wrote.

        Raises:
            CorpusError: the chat cannot be rendered.
        """
        ...


class ByteEncoder:
    """Text as its UTF-8 bytes; documents are joined by NUL."""

    dtype: type[np.signedinteger] = np.int16
    separator, unit = 0, "bytes"

    def encode(self, texts: Iterable[str]) -> Iterator[NDArray[np.integer]]:
        """Bytes of each text, [T]."""
        return (np.frombuffer(text.encode(), np.uint8) for text in texts)

    def locate(self, text: str) -> LocatedTokens:
        """Bytes of a text, each with its character."""
        [token_T] = self.encode([text])
        begin_T = np.cumsum((token_T & 0xC0) != 0x80, dtype=np.int64) - 1  # later bytes of a character: 10xxxxxx
        return LocatedTokens(token_T, begin_T, begin_T + 1)

    def decode(self, tokens: NDArray[np.integer]) -> str:
        """The text of some bytes; a part of a character is shown as U+FFFD."""
        return bytes(tokens[tokens >= 0].astype(np.uint8)).decode("utf-8", "replace")

    def render(self, messages: Sequence[Mapping[str, object]]) -> tuple[str, Spans]:
        """Bytes have no chat template; raises CorpusError."""
        raise CorpusError(
            f"A chat of {len(messages)} messages needs the chat template of a tokenizer. Set corpus.tokenizer"
        )


BYTES = ByteEncoder()


def text_pieces(text: str, located: LocatedTokens, begin: int = 0) -> tuple[list[str], NDArray[np.int64]]:
    """The text from a character on in pieces as people read them, and the piece of each token, [T].

    A piece has the characters of one token, or of several that share a character. Characters of no token, such as
    spaces that a tokenizer drops, go with the piece after them, and at the end with the last one. So the pieces
    join to the text.
    """
    first_T, end_T = np.maximum(located.begin_T, begin), np.maximum.accumulate(np.maximum(located.end_T, begin))
    before_T = np.concatenate([[begin], end_T[:-1]])
    opens_T = (first_T >= before_T) & (located.end_T > first_T)
    piece_T = (np.cumsum(opens_T) - 1).clip(0)
    ends = [end_T[place - 1] for place in np.flatnonzero(opens_T)[1:]]
    cuts = [begin, *map(int, ends), len(text)]
    return [text[first:after] for first, after in pairwise(cuts)], piece_T
