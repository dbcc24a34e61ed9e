"""Influences on the pieces of a text: sums over its tokens, whatever rows and prompts they lie in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_tokenizers import save_bpe
from tribute.corpus import TextFormat, text_queries
from tribute.corpus.encoding import BYTES, encoder_of
from tribute.serving.attributing.tokens import by_piece, measured_positions

ODD = st.text(st.sampled_from("the cat ä中😀"), max_size=20)


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_bpe(tmp_path_factory.mktemp("bpe"), ["the cat sat on the mat"] * 3)


@given(ODD, ODD.filter(lambda text: len(text.encode()) > 1), st.integers(2, 9), st.booleans())
def test_each_piece_has_the_influences_on_its_own_tokens(
    bpe: str, prompt: str, text: str, window: int, tokens: bool
) -> None:
    """Every measured token has a number of its own: twice the place of the token in prompt and text."""
    form = TextFormat(window, encoder_of(bpe) if tokens else BYTES)
    [whole] = form.encoder.encode([prompt + text])
    if len(whole) < 2:
        return
    table = text_queries(["other", "q"], ["something else", text], form, prompts=[None, prompt])
    rows = table.rows["tokens"][table.row_query == 1]
    offset = len(text_queries(["q"], [prompt + text], form).rows["tokens"]) - len(rows)  # rows of the prompt alone
    nats_TS = 2.0 * (np.arange(rows[:, 1:].size) + 1 + offset * (window - 1))[:, None]
    pieces, nats_CS = by_piece(form, prompt, text, measured_positions(table, 1), nats_TS)
    assert "".join(pieces) == text
    located, place = form.encoder.locate(prompt + text), len(prompt)
    for piece, nats in zip(pieces, nats_CS[:, 0], strict=True):
        own = [
            at
            for at in range(1, len(whole))
            if located.end_T[at] > place and located.begin_T[at] < place + len(piece)
        ]
        assert nats == 2.0 * sum(own)
        place += len(piece)
