"""Tokens as people read them: pieces of the text, each with the influence on its tokens.

Legend: T positions of a query's rows, M of them measured, C pieces, S sources.
"""

import numpy as np
from numpy.typing import NDArray

from tribute.corpus import QueryTable
from tribute.corpus.encoding import TextFormat, text_pieces


def measured_positions(table: QueryTable, query: int) -> NDArray[np.bool_]:
    """Which positions of a query's rows are measured, [T], row after row, without the first of each."""
    rows = table.row_query == query
    marks_NW = table.rows["target"][rows] if "target" in table.rows else table.rows["tokens"][rows] >= 0
    return np.asarray(marks_NW[:, 1:].reshape(-1))


def by_piece(
    form: TextFormat, prompt: str, text: str, measured_T: NDArray[np.bool_], nats_TS: NDArray[np.float64]
) -> tuple[list[str], NDArray[np.float64]]:
    """The pieces of a text, and influences on them, [C, S] nats: sums over their tokens.

    Pieces are characters of a byte model, and tokens of a tokenizer; see `text_pieces`. They join to the text.
    Without a prompt the first token is not predicted, so nothing has an influence on it.
    """
    pieces, piece_T = text_pieces(prompt + text, form.encoder.locate(prompt + text), len(prompt))
    nats_MS = nats_TS[measured_T]
    nats_CS = np.zeros((len(pieces), nats_TS.shape[1]))
    np.add.at(nats_CS, piece_T[len(piece_T) - len(nats_MS) :], nats_MS)
    return pieces, nats_CS
