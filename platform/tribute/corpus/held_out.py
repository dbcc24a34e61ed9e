"""The held-out part of a text source: whole documents, or the ends of long ones."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.crediting.letter_runs import LetterRuns
from tribute.corpus.crediting.normal_words import word_spans
from tribute.corpus.crediting.text_runs import runs_of_words
from tribute.corpus.crediting.word_arrays import NormalWords
from tribute.corpus.crediting.word_runs import SHINGLE_WORDS, edges
from tribute.corpus.encoding import BYTES, TextFormat
from tribute.corpus.equal_values import FirstPlaces
from tribute.corpus.sources import Document

LATE = 0.6
"""Part of what is due that may be missing before the end of a document is taken for it."""

_BOUNDARIES = tuple(map(re.compile, (r"\n\s*\n", r"\n\s*", r"(?<=[.!?。！？])\s*", r"\s+")))
"""Between paragraphs, lines, sentences, words: the best boundary near the wanted place is taken."""


def split_documents(
    documents: Sequence[Document], part: float, window: TextFormat | int
) -> tuple[list[Document], list[Document]]:
    """Split a source into training and held-out documents.

    What happens to a document depends on the ones before it alone, so appended documents change nothing. A
    document is held out whole if that brings the held-out bytes close to `part` of all bytes so far. Otherwise its
    end is, if too much is missing: from the end of a paragraph, line, sentence or word on, without the runs of
    words that its beginning has too. A document with targets is not cut. At most twice `part` is held out, and
    something where that is a window.

    Args:
        part: wanted share of the source's bytes, 0 to 1.
        window: bytes of an example, or the format of the corpus; a shorter end is of no use.
    """
    if not part:
        return list(documents), []
    form = TextFormat.of(window)
    train: list[Document] = []
    held_out: list[Document] = []
    total = held = 0
    for document in documents:
        size = len(document.text.encode())
        total += size
        due, most = part * total - held, min(2 * part, (1 + part) / 2) * total - held
        ends: tuple[Document, Document] | None = None
        if size <= most and 2 * due >= size:
            held_out.append(document)
            held += size
            continue
        if held < LATE * part * total and document.targets is None:
            ends = _cut(document, due, most, form)
        train.append(document if ends is None else ends[0])
        if ends is not None:
            held_out.append(ends[1])
            held += len(ends[1].text.encode())
    return train, held_out


def _cut(document: Document, due: float, most: float, form: TextFormat) -> tuple[Document, Document] | None:
    """A document's beginning, and its end of about `due` bytes; None where it has no end of a window."""
    size = len(document.text.encode())
    least = float(form.window)  # in bytes, at the document's own bytes per token
    if form.encoder is not BYTES:
        least *= size / _tokens(document.text, form)
    wanted = max(due, least)
    if wanted > min(most, 0.9 * size):
        return None
    for first, after in _places(document.text, wanted, max(least, 0.75 * wanted), min(most, 1.25 * wanted)):
        head, tail = document.text[:first].rstrip(), _without_shared(document.text[:first], document.text[after:])
        if head and _tokens(tail, form) >= form.window:
            return (
                Document(document.document_id, head, document.claimed),
                Document(f"{document.document_id} (tail)", tail, document.claimed),
            )
    return None


def _tokens(text: str, form: TextFormat) -> int:
    """Tokens of a text, at least one."""
    return max(*map(len, form.encoder.encode([text])), 1)


def _places(text: str, wanted: float, least: float, most: float) -> Iterator[tuple[int, int]]:
    """Where a text may be cut so that its end has `least` to `most` bytes, the best place of each kind first."""
    content = text.encode()
    low, goal, high = (_place(content, max(len(content) - int(size), 0)) for size in (most, wanted, least))
    for boundary in _BOUNDARIES:
        found = [match.span() for match in boundary.finditer(text, low, high + 1) if low < match.end() <= high]
        if found:
            yield min(found, key=lambda span: abs(span[1] - goal))
    yield goal, goal


def _place(content: bytes, byte: int) -> int:
    """The first character that begins at a byte or after it."""
    while byte < len(content) and content[byte] & 0xC0 == 0x80:
        byte += 1
    return len(content[:byte].decode())


def _without_shared(head: str, tail: str) -> str:
    """The end of a document without the runs of words, or of ideographs, that its beginning has too."""
    before = NormalWords.of([head])
    known, known_letters = FirstPlaces(runs_of_words(before)[0]), FirstPlaces(_ideograph_runs(before)[0])
    while True:
        words = NormalWords.of([tail])
        shared_W = np.zeros(len(words), bool)
        hash_R, word_R = runs_of_words(words)
        for begin in word_R[known.of(hash_R) >= 0]:
            shared_W[begin : begin + SHINGLE_WORDS] = True
        hash_R, first_R, last_R = _ideograph_runs(words)
        for run in np.flatnonzero(known_letters.of(hash_R) >= 0):
            shared_W[first_R[run] : last_R[run] + 1] = True
        if not shared_W.any():
            return tail
        (begin_W, end_W), kept, begin = word_spans(tail, words), list[str](), 0
        for first, end in edges(shared_W):
            kept.append(tail[begin : begin_W[first]].strip())
            begin = end_W[end - 1]
        tail = "\n".join(piece for piece in [*kept, tail[begin:].strip()] if piece)


def _ideograph_runs(words: NormalWords) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Of runs of letters that begin with an ideograph: hashes, first words and last words, [R] each."""
    if words.ideograph_W is None:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    runs = LetterRuns.of(words)
    first_R, last_R = runs.first_words(), runs.last_words()
    wide_R = words.ideograph_W[first_R]
    return runs.hash_R[wide_R], first_R[wide_R], last_R[wide_R]
