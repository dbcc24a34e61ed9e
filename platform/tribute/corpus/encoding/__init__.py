"""Text and tokens: encoders, and the rows that a corpus and its queries are cut into."""

from tribute.corpus.encoding.encoder import BYTES, PADDING, Encoder, LocatedTokens, text_pieces
from tribute.corpus.encoding.format import TextFormat, encoder_of, format_of, text_format
from tribute.corpus.encoding.windows import document_rows, text_rows, text_windows

__all__ = [
    "BYTES",
    "PADDING",
    "Encoder",
    "LocatedTokens",
    "TextFormat",
    "document_rows",
    "encoder_of",
    "format_of",
    "text_format",
    "text_pieces",
    "text_rows",
    "text_windows",
]
