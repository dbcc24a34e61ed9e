"""Rows of text: windows of tokens.

A window of W tokens trains W - 1 predictions: each token from the preceding ones. Windows overlap by one token, so
that every token but the first is predicted exactly once.

The column `target` says which tokens are predicted, where that is not all of them but the first: the answer to a
prompt, the turns of the assistant in a chat. A text that is longer than a window has several rows, and each is
predicted from its own window alone. Rows in which nothing is predicted are left out.

Legend: N rows, W tokens of a row, T tokens of a text.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.encoding.encoder import PADDING
from tribute.corpus.encoding.format import TextFormat
from tribute.corpus.sources import Columns, Document

Tokens = NDArray[np.integer]
Marks = NDArray[np.bool_]


def text_windows(texts: Iterable[str], window: "TextFormat | int", tokenizer: str | None = None) -> Tokens:
    """Training windows of a source, [N, W]; joins its documents, omits an incomplete window.

    Args:
        window: tokens of a row, W, including the next token of each position.
        tokenizer: a folder or hub id of a Hugging Face tokenizer; None: bytes.

    Raises:
        ConfigError: the tokenizer cannot be used.
    """
    form = TextFormat.of(window, tokenizer)
    encoder, parts = form.encoder, list[Tokens]()
    between = np.array([encoder.separator], encoder.dtype)
    for tokens in encoder.encode(texts):
        parts += [between, tokens] if parts else [tokens]
    stream = np.concatenate([np.zeros(0, encoder.dtype), *parts], dtype=encoder.dtype, casting="unsafe")
    count = max((len(stream) - 1) // (form.window - 1), 0)
    return _overlapping(stream, count, form.window).copy()


def text_rows(text: str, form: TextFormat, begin: int = 0) -> tuple[Tokens, Marks]:
    """Rows of a query, [N, W] each: tokens, the last row padded with -1, and which of them are predicted.

    Args:
        begin: the first character that is predicted; those before it are the prompt.
    """
    if not begin:
        [token_T] = form.encoder.encode([text])
        return _padded_rows(token_T, np.ones(len(token_T), bool), form)
    located = form.encoder.locate(text)
    return _padded_rows(located.token_T, located.end_T > begin, form)


def document_rows(documents: Sequence[Document], form: TextFormat) -> Columns:
    """Rows of a source: windows of its plain documents, joined; then each document with targets by itself.

    Columns: `tokens`, and `target` where the format has it. After a completion that ends its document, the
    separator is predicted too: it is where the answer ends.
    """
    plain_NW = text_windows((each.text for each in documents if each.targets is None), form)
    if not form.targets:
        return {"tokens": plain_NW}
    target_NW = np.ones(plain_NW.shape, bool)
    target_NW[:, 0] = False
    rows = [(plain_NW, target_NW), *(_targeted(each, form) for each in documents if each.targets is not None)]
    tokens, target = zip(*rows, strict=True)
    return {"tokens": np.concatenate(tokens), "target": np.concatenate(target)}


def _targeted(document: Document, form: TextFormat) -> tuple[Tokens, Marks]:
    located, separator = form.encoder.locate(document.text), form.encoder.separator
    token_T, target_T = located.token_T, np.zeros(len(located.token_T), bool)
    for begin, end in document.targets or ():
        target_T |= (located.end_T > begin) & (located.begin_T < end)
    end = max((end for _, end in document.targets or ()), default=0)
    if end == len(document.text) and not (len(token_T) and token_T[-1] == separator):
        token_T, target_T = np.append(token_T.astype(form.encoder.dtype), separator), np.append(target_T, True)
    return _padded_rows(token_T, target_T, form)


def _padded_rows(token_T: Tokens, target_T: Marks, form: TextFormat) -> tuple[Tokens, Marks]:
    """Overlapping windows, the last one padded; without those in which nothing is predicted."""
    window, dtype = form.window, form.encoder.dtype
    count = max(-(-(len(token_T) - 1) // (window - 1)), 1)
    padded, marks = np.full(count * (window - 1) + 1, PADDING, dtype), np.zeros(count * (window - 1) + 1, bool)
    padded[: len(token_T)], marks[: len(token_T)] = token_T, target_T
    target_NW = _overlapping(marks, count, window).copy()
    target_NW[:, 0] = False
    kept = target_NW.any(1)
    return _overlapping(padded, count, window)[kept], target_NW[kept]


def _overlapping(stream: NDArray, count: int, window: int) -> NDArray:
    """Windows of a stream as a view of it, [N, W]; each begins at the last token of the one before it."""
    if not count:
        return np.zeros((0, window), stream.dtype)
    return np.lib.stride_tricks.sliding_window_view(stream, window)[:: window - 1][:count]
