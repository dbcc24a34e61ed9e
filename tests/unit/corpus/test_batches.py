"""Windows of text: every byte but the first is predicted exactly once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tribute.corpus.batches import encode_text, text_windows


def test_training_windows_overlap_by_one_byte_and_drop_the_tail() -> None:
    windows = text_windows(["abcd", "efgh"], 4)  # the stream is a b c d NUL e f g h
    assert [bytes(row.tolist()) for row in windows] == [b"abcd", b"d\0ef"]
    assert text_windows(["ab"], 4).shape == (0, 4)


def test_a_query_is_padded_in_its_last_row() -> None:
    rows = encode_text("abcdefgh", 4)
    assert rows.tolist() == [[97, 98, 99, 100], [100, 101, 102, 103], [103, 104, -1, -1]]


@given(st.text(min_size=2, max_size=60), st.integers(2, 20))
def test_every_byte_after_the_first_is_a_target_once(text: str, window: int) -> None:
    rows = encode_text(text, window)
    targets = rows[:, 1:].reshape(-1)
    assert bytes(targets[targets >= 0].tolist()) == text.encode()[1:]
    assert (np.diff((targets >= 0).astype(int)) <= 0).all()
