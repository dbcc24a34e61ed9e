"""Text that an answer shares with sources, word for word: an index of the corpus on disk, and look-ups in it."""

from tribute.corpus.verbatim.corpus import INDEXES, CorpusIndex, is_indexed, open_index
from tribute.corpus.verbatim.evidence import EDIT_WORDS, SharedPassage, shared_passages
from tribute.corpus.verbatim.stored import BYTES, Tokens, joined_windows

__all__ = [
    "BYTES",
    "EDIT_WORDS",
    "INDEXES",
    "CorpusIndex",
    "SharedPassage",
    "Tokens",
    "is_indexed",
    "joined_windows",
    "open_index",
    "shared_passages",
]
